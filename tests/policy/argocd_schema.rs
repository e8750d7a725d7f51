//! Every request to Argo CD is one that its own description allows, in the oldest and the newest
//! version, after the corrections of what the description gets wrong.
//!
//! The excerpts in `tests/data/argocd` hold the operations that the client uses, with their
//! parameters and the definitions of their bodies.

mod usage;

use argocd_client::mock::{ArgoCdMock, Call};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const VERSIONS: [(&str, &str); 2] = [
    ("v2.14.21", include_str!("../data/argocd/swagger-2.14.json")),
    ("v3.5.1", include_str!("../data/argocd/swagger-3.5.json")),
];

/// Definitions that stand for any JSON value, whatever the description says.
const ANY: [&str; 4] = [
    "v1FieldsV1",
    "v1JSON",
    "runtimeRawExtension",
    "intstrIntOrString",
];

/// An OpenAPI 2 description with the corrections applied.
pub(crate) struct Description {
    document: Value,
}

/// The descriptions of the oldest and the newest version, corrected.
pub(crate) fn descriptions() -> impl Iterator<Item = (&'static str, Description)> {
    VERSIONS
        .into_iter()
        .map(|(version, text)| (version, Description::corrected(text)))
}

impl Description {
    fn corrected(text: &str) -> Self {
        let mut document: Value = serde_json::from_str(text).unwrap();
        let definitions = &mut document["definitions"];
        for name in ANY {
            definitions[name] = json!({});
        }
        // The fields of the strategy are inline.
        definitions["v1alpha1SyncStrategyHook"] = definitions["v1alpha1SyncStrategyApply"].clone();
        // Numbers in bodies; only query parameters are text.
        definitions["applicationApplicationSyncRequest"]["properties"]["sourcePositions"]["items"] =
            json!({"type": "integer", "format": "int64"});
        // The generic gateway parameters of a cluster work on these, too.
        for action in ["rotate-auth", "invalidate-cache"] {
            let path = format!("/api/v1/clusters/{{id.value}}/{action}");
            if let Some(parameters) = document["paths"][&path]["post"]["parameters"].as_array_mut()
            {
                parameters.push(json!({"name": "id.type", "in": "query", "type": "string"}));
            }
        }
        Self { document }
    }

    /// The template and operation for a request.
    fn operation(&self, call: &Call) -> Option<(&str, &Value)> {
        let method = call.method.as_str().to_ascii_lowercase();
        let paths = self.document["paths"].as_object()?;
        // Literal segments win over parameters: `/session/userinfo` over `/session/{name}`.
        let mut matching: Vec<_> = paths
            .iter()
            .filter(|(template, operations)| {
                fits(template, &call.path) && operations.get(&method).is_some()
            })
            .collect();
        matching.sort_by_key(|(template, _)| template.matches('{').count());
        matching
            .first()
            .map(|(template, operations)| (template.as_str(), &operations[&method]))
    }

    /// What is wrong with a request; nothing when it is as described.
    pub(crate) fn problems(&self, call: &Call) -> Vec<String> {
        let Some((template, operation)) = self.operation(call) else {
            return vec![format!("{} {} is not described", call.method, call.path)];
        };
        let at = format!("{} {template}", call.method);
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut problems = Vec::new();
        for (name, value) in &call.query {
            match parameters
                .iter()
                .find(|parameter| parameter["in"] == "query" && parameter["name"] == name.as_str())
            {
                None => problems.push(format!("{at}: no query parameter {name}")),
                Some(parameter)
                    if parameter["type"] == "boolean"
                        && !["true", "false"].contains(&value.as_str()) =>
                {
                    problems.push(format!("{at}: {name} is not a boolean"));
                }
                Some(_) => {}
            }
        }
        let body = parameters
            .iter()
            .find(|parameter| parameter["in"] == "body");
        match (body, &call.body) {
            (Some(parameter), Some(body)) => self.check(
                &parameter["schema"],
                body,
                &format!("{at}: body"),
                &mut problems,
            ),
            (Some(parameter), None)
                if parameter["required"] == true && !template.contains("{id.value}/") =>
            {
                problems.push(format!("{at}: no body"));
            }
            (None, Some(_)) => problems.push(format!("{at}: a body that is not described")),
            _ => {}
        }
        problems
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return self.check(&self.document["definitions"][name], value, at, problems);
        }
        match (schema["type"].as_str(), value) {
            (None, _) | (Some("boolean"), Value::Bool(_)) => {}
            (Some("string"), Value::String(text)) if schema["format"] == "byte" => {
                if STANDARD.decode(text).is_err() {
                    problems.push(format!("{at}: not base64"));
                }
            }
            (Some("string"), Value::String(_)) => {}
            (Some("integer"), Value::Number(number)) if number.is_i64() => {}
            (Some("array"), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}[{index}]"), problems);
                }
            }
            (Some("object"), Value::Object(object)) => {
                for (key, value) in object {
                    let at = format!("{at}.{key}");
                    match (
                        schema["properties"].get(key),
                        schema.get("additionalProperties"),
                    ) {
                        (Some(schema), _) | (None, Some(schema)) => {
                            self.check(schema, value, &at, problems)
                        }
                        (None, None) => problems.push(format!("{at}: unknown field")),
                    }
                }
            }
            (Some(wanted), _) => problems.push(format!("{at}: not of type {wanted}")),
        }
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    // The object of a right is the rest of the path.
    let same_length = template.len() == path.len()
        || (template.last() == Some(&"{subresource}") && path.len() > template.len());
    same_length
        && template
            .iter()
            .zip(&path)
            .all(|(part, segment)| part.starts_with('{') || part == segment)
}

#[tokio::test]
async fn every_request_of_the_client_is_described_in_both_versions() {
    for (version, text) in VERSIONS {
        let description = Description::corrected(text);
        let argocd = ArgoCdMock::builder()
            .version(version)
            .account("admin", "secret")
            .start()
            .await;

        usage::use_everything(&argocd, version.starts_with("v3.5")).await;

        let calls = argocd.calls();
        let problems: Vec<String> = calls
            .iter()
            .flat_map(|call| description.problems(call))
            .collect();
        assert!(problems.is_empty(), "{version}:\n{}", problems.join("\n"));
        for (template, operations) in description.document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                let used = calls.iter().any(|call| {
                    let operation = description.operation(call);
                    call.method.as_str().eq_ignore_ascii_case(method)
                        && operation.is_some_and(|(found, _)| found == template)
                });
                assert!(
                    used,
                    "{version}: {method} {template} is not used by this test"
                );
            }
        }
    }
}

#[test]
fn the_check_finds_wrong_names_types_and_parameters() {
    let description = Description::corrected(VERSIONS[1].1);
    let cluster = &json!({"$ref": "#/definitions/v1alpha1Cluster"});
    let problems = |value: Value| {
        let mut problems = Vec::new();
        description.check(cluster, &value, "body", &mut problems);
        problems
    };

    assert!(problems(json!({"server": "s", "shard": 1, "labels": {"any": "thing"}})).is_empty());
    assert_eq!(
        problems(
            json!({"url": "s", "shard": "1", "labels": {"a": 1}, "config": {"tlsClientConfig": {"caData": "-----"}}})
        ),
        [
            "body.url: unknown field",
            "body.shard: not of type integer",
            "body.labels.a: not of type string",
            "body.config.tlsClientConfig.caData: not base64",
        ]
    );
}

#[test]
fn without_its_correction_the_description_refuses_a_forced_sync() {
    let document = serde_json::from_str(VERSIONS[1].1).unwrap();
    let sync = json!({"strategy": {"hook": {"force": true}}});
    let schema = json!({"$ref": "#/definitions/applicationApplicationSyncRequest"});
    let mut problems = Vec::new();

    Description { document }.check(&schema, &sync, "body", &mut problems);

    assert_eq!(problems, ["body.strategy.hook.force: unknown field"]);
}
