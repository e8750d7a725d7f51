//! `requests.json` of OpenBao is written by hand: what is asked of a server and of the mock. Its paths have to be those of the
//! server's own description, or else be refused.

use serde_json::Value;

use super::record::{Request, Server};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const DESCRIPTION: &str = "/v1/sys/internal/specs/openapi";

/// The description of the API that a server gives to the holder of a token.
pub(crate) fn description(server: &Server, token: &str) -> Result<Value> {
    let answer = server.send(&Request {
        method: "GET".to_owned(),
        path: DESCRIPTION.to_owned(),
        headers: vec![("X-Vault-Token".to_owned(), token.trim().to_owned())],
        body: Vec::new(),
        is_stream: false,
    })?;
    match answer {
        Some(answer) if answer.status == 200 => Ok(answer.value(false)),
        Some(answer) => Err(format!("{DESCRIPTION}: {}", answer.line).into()),
        None => Err(format!("{DESCRIPTION}: no answer").into()),
    }
}

/// How many requests the description has, and the paths of those that it does not have and that were refused.
pub(crate) fn check(requests: &str, answers: &str, description: &Value) -> Result<Checked> {
    let requests: Vec<Value> = serde_json::from_str(requests)?;
    let answers: Vec<Value> = serde_json::from_str(answers)?;
    if requests.len() != answers.len() {
        return Err("answers.json has to be recorded again".into());
    }
    let mut checked = Checked::default();
    for (request, answer) in requests.iter().zip(&answers) {
        let path = request["path"].as_str().unwrap_or_default();
        let method = request["method"].as_str().unwrap_or_default();
        let is_refused = answer["status"]
            .as_u64()
            .is_some_and(|status| status >= 400);
        if is_described(description, method, path) {
            checked.described += 1;
        } else if is_refused {
            checked.refused.push(format!("{method} {path}"));
        } else {
            return Err(format!("{method} {path} is answered, but not described").into());
        }
    }
    Ok(checked)
}

#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) described: usize,
    pub(crate) refused: Vec<String>,
}

fn is_described(description: &Value, method: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    // A server takes one for the other.
    let names: &[&str] = match method {
        "PUT" | "POST" => &["post", "put"],
        "LIST" => &["get", "list"],
        "GET" => &["get"],
        "PATCH" => &["patch"],
        "DELETE" => &["delete"],
        _ => &[],
    };
    let paths = description["paths"].as_object().into_iter().flatten();
    paths
        .filter(|(template, _)| is_like(template.trim_matches('/'), path.trim_matches('/')))
        .any(|(_, operations)| names.iter().any(|name| operations.get(name).is_some()))
}

/// Whether a path is one of a template. A parameter at its end takes the rest of the path.
fn is_like(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/').peekable(), path.split('/'));
    while let Some(part) = template.next() {
        let Some(given) = path.next() else {
            return part.starts_with('{') && template.peek().is_none();
        };
        if part.starts_with('{') && template.peek().is_none() {
            return true;
        }
        if !part.starts_with('{') && part != given {
            return false;
        }
    }
    path.next().is_none()
}
