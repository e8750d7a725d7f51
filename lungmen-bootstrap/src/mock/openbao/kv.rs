//! The KV version 2 engine.

use http::Method;
use serde_json::{Map, Value, json};

use super::envelope::{self, Answer, Refusal};
use super::handler::Asked;
use super::record::Record;
use super::state::{Place, State};

/// Raft storage takes no larger entries.
const RAFT_LIMIT: usize = 1_048_576;

/// A request to the engine at `mount`: what is asked for (`data`, `metadata`, …) and of which secret.
pub(super) fn answer(state: &mut State, asked: &Asked, (mount, rest): (&str, &str)) -> Answer {
    let (kind, path) = rest.split_once('/').unwrap_or((rest, ""));
    let place = Place {
        namespace: asked.namespace.clone(),
        mount: mount.to_owned(),
        path: path.to_owned(),
    };
    let write = matches!(asked.method, Method::POST | Method::PUT);
    match (kind, &asked.method) {
        ("data", &Method::GET) => read(state, asked, &place),
        ("data", &Method::PATCH) => patch(state, asked, &place),
        ("data", &Method::DELETE) => {
            if let Some(record) = state.secrets.get_mut(&place) {
                let latest = record.current();
                record.delete(&[latest]);
            }
            Ok(envelope::done())
        }
        ("data", _) if write => create(state, asked, &place),
        ("metadata", &Method::GET) if asked.lists() => list(state, &place),
        ("metadata", &Method::GET) => {
            let record = state
                .secrets
                .get(&place)
                .ok_or_else(|| Refusal::silent(404))?;
            Ok(envelope::data(record.metadata()))
        }
        ("metadata", &Method::DELETE) => {
            state.secrets.remove(&place);
            Ok(envelope::done())
        }
        ("metadata", _) if write => {
            let record = state.secrets.entry(place).or_insert_with(Record::new);
            record.set_metadata(&asked.body)?;
            Ok(envelope::done())
        }
        ("delete" | "undelete" | "destroy", _) if write => versions(state, asked, (kind, &place)),
        ("data" | "metadata" | "delete" | "undelete" | "destroy" | "subkeys" | "config", _) => {
            Err(asked.not_modelled())
        }
        _ => Ok(envelope::missing(
            Value::Null,
            json!([
                "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. \
                 If using the OpenBao CLI, use 'bao kv get' for this operation."
            ]),
        )),
    }
}

fn read(state: &mut State, asked: &Asked, place: &Place) -> Answer {
    asked.known_parameters(&["version"])?;
    let record = state
        .secrets
        .get(place)
        .ok_or_else(|| Refusal::silent(404))?;
    let number = match asked.parameter("version") {
        None | Some("0" | "") => record.current(),
        Some(text) => text.parse().map_err(|_| {
            Refusal::new(
                400,
                format!(
                    "Field validation failed: error converting input {text:?} for field \"version\""
                ),
            )
        })?,
    };
    let about = record.about(number);
    if about.is_null() {
        return Err(Refusal::silent(404));
    }
    match record.values(number) {
        Some(values) => Ok(envelope::data(
            json!({"data": sorted(values), "metadata": about}),
        )),
        None => Ok(envelope::missing(
            json!({"data": null, "metadata": about}),
            Value::Null,
        )),
    }
}

fn create(state: &mut State, asked: &Asked, place: &Place) -> Answer {
    let Some(values) = asked.body["data"].as_object().cloned() else {
        return Err(Refusal::new(400, "no data provided"));
    };
    let blank = Record::new();
    let record = state.secrets.get(place).unwrap_or(&blank);
    record.check(cas(asked)?)?;
    store(state, place, values)
}

fn patch(state: &mut State, asked: &Asked, place: &Place) -> Answer {
    const MERGE: &str = "application/merge-patch+json";
    if asked.content_type != MERGE {
        return Err(Refusal::new(
            415,
            format!(
                "PATCH requires Content-Type of {MERGE}, provided {}",
                asked.content_type
            ),
        ));
    }
    let Some(record) = state.secrets.get(place) else {
        return Ok(crate::mock::serve::plain(404, ""));
    };
    record.check(cas(asked)?)?;
    let Some(mut values) = record.values(record.current()).cloned() else {
        return Ok(crate::mock::serve::plain(404, ""));
    };
    for (name, value) in asked.body["data"].as_object().into_iter().flatten() {
        if value.is_null() {
            values.shift_remove(name);
        } else {
            values.insert(name.clone(), value.clone());
        }
    }
    store(state, place, values)
}

fn store(state: &mut State, place: &Place, values: Map<String, Value>) -> Answer {
    let size = Value::Object(values.clone()).to_string().len();
    if let Some(index) = &mut state.index {
        if size > RAFT_LIMIT {
            // The first number really is wrong on the server.
            return Err(Refusal::new(
                500,
                "put failed due to value being too large; got 156 bytes, max 1048576 bytes",
            ));
        }
        *index += 1;
    }
    let record = state
        .secrets
        .entry(place.clone())
        .or_insert_with(Record::new);
    Ok(envelope::data(record.write(values)))
}

/// `options.cas`: a number, or a number as text.
fn cas(asked: &Asked) -> Result<Option<u64>, Refusal> {
    let options = &asked.body["options"];
    let known = options
        .as_object()
        .is_none_or(|options| options.keys().all(|key| key == "cas"));
    if !known {
        return Err(Refusal::not_modelled("options other than cas"));
    }
    match &options["cas"] {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_u64()),
        Value::String(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::new(400, "error parsing check-and-set parameter")),
        _ => Err(Refusal::new(400, "error parsing check-and-set parameter")),
    }
}

fn versions(state: &mut State, asked: &Asked, (kind, place): (&str, &Place)) -> Answer {
    let numbers: Option<Vec<u64>> = asked.body["versions"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_u64).collect());
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return Err(Refusal::new(400, "No version number provided"));
    };
    if let Some(record) = state.secrets.get_mut(place) {
        match kind {
            "delete" => record.delete(&numbers),
            "undelete" => record.undelete(&numbers),
            _ => record.destroy(&numbers),
        }
    }
    Ok(envelope::done())
}

/// The names directly below a folder; folders among them end with `/`.
fn list(state: &State, place: &Place) -> Answer {
    let folder = match place.path.trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let mut names: Vec<String> = state
        .secrets
        .keys()
        .filter(|key| key.namespace == place.namespace && key.mount == place.mount)
        .filter_map(|key| key.path.strip_prefix(&folder))
        .map(|rest| match rest.split_once('/') {
            Some((first, _)) => format!("{first}/"),
            None => rest.to_owned(),
        })
        .collect();
    names.dedup();
    if names.is_empty() {
        return Err(Refusal::silent(404));
    }
    Ok(envelope::data(json!({"keys": names})))
}

/// The server gives the keys of a secret back in order.
fn sorted(values: &Map<String, Value>) -> Value {
    let mut pairs: Vec<_> = values.clone().into_iter().collect();
    pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(pairs.into_iter().collect())
}
