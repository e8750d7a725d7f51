//! Reads and checks the objects in requests.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::protobuf;
use super::resource::{DEFINITIONS, Resource};
use super::status::{Cause, Rejection};
use crate::mock::serve::IncomingRequest;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The object in the body of a `POST` or `PUT`.
pub(super) fn decode(request: &IncomingRequest, resource: &Resource) -> Result<Value, Rejection> {
    if request.header("content-type") == Some(PROTOBUF) {
        let object = protobuf::decode(&request.body).ok_or_else(|| {
            Rejection::not_modelled(format!("Protobuf bodies of the kind {}", resource.kind))
        })?;
        check_type(&object, resource)?;
        return Ok(object);
    }
    check_content_type(request)?;
    let object = parse(&request.body, resource)?;
    check_type(&object, resource)?;
    Ok(object)
}

/// The object in the body of a server-side apply.
pub(super) fn decode_apply(
    request: &IncomingRequest,
    resource: &Resource,
) -> Result<Value, Rejection> {
    let object: Value = serde_yaml::from_slice(&request.body).map_err(|error| {
        let problem = format!("yaml: {error}");
        Rejection::bad_request(format!(
            "error decoding YAML: error converting YAML to JSON: {problem}"
        ))
    })?;
    if object["kind"].is_null() && object["apiVersion"].is_null() {
        return Err(Rejection::bad_request("invalid object type: /, Kind="));
    }
    check_type(&object, resource)?;
    if !object["metadata"]["managedFields"].is_null() {
        return Err(Rejection::bad_request("metadata.managedFields must be nil"));
    }
    Ok(object)
}

fn check_content_type(request: &IncomingRequest) -> Result<(), Rejection> {
    let content_type = request.header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if matches!(content_type, "" | "application/json" | "application/yaml") {
        return Ok(());
    }
    let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    Err(Rejection::new(
        415,
        "UnsupportedMediaType",
        format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        ),
    ))
}

fn parse(body: &[u8], resource: &Resource) -> Result<Value, Rejection> {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return Ok(value);
    }
    if let Ok(value @ Value::Object(_)) = serde_yaml::from_slice::<Value>(body) {
        return Ok(value);
    }
    let (problem, quoted) = match body.first() {
        None => (
            "unexpected end of JSON input".to_owned(),
            "<empty>".to_owned(),
        ),
        Some(first) => {
            let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            let letter = char::from(*first);
            let problem = format!("invalid character '{letter}' looking for beginning of value");
            (problem, hex)
        }
    };
    Err(Rejection::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {problem} ({quoted})",
        resource.kind
    )))
}

fn check_type(object: &Value, resource: &Resource) -> Result<(), Rejection> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if resource.is_custom && kind != resource.kind {
        let cause = Cause::invalid("kind", &kind.into(), &format!("must be {}", resource.kind));
        return Err(Rejection::invalid_kind(
            (kind, resource.group),
            name,
            &[cause],
        ));
    }
    let version = resource.api_version();
    if kind != resource.kind || object["apiVersion"] != version.as_str() {
        return Err(Rejection::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {} {}",
            resource.kind, object["apiVersion"], object["kind"]
        )));
    }
    let cannot = |problem: String| {
        Err(Rejection::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {kind}: {problem}",
            resource.version
        )))
    };
    let name = &object["metadata"]["name"];
    if !name.is_null() && !name.is_string() {
        let found = if name.is_number() { "number" } else { "object" };
        return cannot(format!(
            "json: cannot unmarshal {found} into Go struct field ObjectMeta.metadata.name of type string"
        ));
    }
    if resource.plural == "leases" {
        for field in ["acquireTime", "renewTime"] {
            let time = object["spec"][field].as_str().unwrap_or("0.0");
            if !time.contains('.') {
                return cannot(format!(
                    "parsing time \"{time}\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\""
                ));
            }
        }
    }
    Ok(())
}

/// The namespace in the object must be that of the path.
pub(super) fn check_namespace(object: &Value, namespace: &str) -> Result<(), Rejection> {
    match object["metadata"]["namespace"].as_str() {
        Some(found) if !found.is_empty() && found != namespace => Err(Rejection::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => Ok(()),
    }
}

/// The rules for an object, whatever the request that writes it. `before` is the object that it replaces.
pub(super) fn validate(
    resource: &Resource,
    name: &str,
    (before, object): (Option<&Value>, &Value),
) -> Result<(), Rejection> {
    let mut causes = Vec::new();
    causes.extend(name_cause(name));
    causes.extend(label_causes(&object["metadata"]["labels"]));
    causes.extend(finalizer_causes(before, object));
    let changed = |field: &str| before.is_some_and(|before| before[field] != object[field]);
    match resource.kind {
        "Secret" if changed("type") => {
            causes.push(Cause::invalid(
                "type",
                &object["type"],
                "field is immutable",
            ));
        }
        "Secret" if object["type"] == "kubernetes.io/service-account-token" => {
            let account = &object["metadata"]["annotations"]["kubernetes.io/service-account.name"];
            if account.as_str().unwrap_or_default().is_empty() {
                let field = "metadata.annotations[kubernetes.io/service-account.name]";
                causes.push(Cause::required(field, ""));
            }
        }
        "ClusterRoleBinding" | "RoleBinding" if changed("roleRef") => {
            let role = &object["roleRef"];
            let shown =
                json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
            causes.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
        }
        "ClusterRoleBinding" if object["roleRef"]["kind"] != "ClusterRole" => {
            causes.push(Cause::new(
                "FieldValueNotSupported",
                "roleRef.kind",
                format!(
                    "Unsupported value: {}: supported values: \"ClusterRole\"",
                    object["roleRef"]["kind"]
                ),
            ));
        }
        "Deployment" => causes.extend(deployment_causes(object)),
        "CustomResourceDefinition" if resource.plural == DEFINITIONS => {
            causes.extend(definition_causes(name, object));
        }
        _ => {}
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(Rejection::invalid(resource, name, &causes))
    }
}

fn is_match(
    pattern: &'static str,
    cell: &'static OnceLock<Option<regex::Regex>>,
    text: &str,
) -> bool {
    cell.get_or_init(|| regex::Regex::new(pattern).ok())
        .as_ref()
        .is_some_and(|regex| regex.is_match(text))
}

fn name_cause(name: &str) -> Option<Cause> {
    static NAME: OnceLock<Option<regex::Regex>> = OnceLock::new();
    const PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
    // Names of roles may have colons.
    let is_valid = is_match(
        r"^[a-z0-9]([-a-z0-9:]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        &NAME,
        name,
    );
    let problem = format!(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and \
         end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{PATTERN}')"
    );
    (!is_valid).then(|| Cause::invalid("metadata.name", &name.into(), &problem))
}

fn label_causes(labels: &Value) -> Vec<Cause> {
    static KEY: OnceLock<Option<regex::Regex>> = OnceLock::new();
    const PATTERN: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
    let labels = labels.as_object().into_iter().flatten();
    labels
        .filter(|(key, _)| {
            let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
            !is_match("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$", &KEY, name)
        })
        .map(|(key, _)| {
            let problem = format!(
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '{PATTERN}')"
            );
            Cause::invalid("metadata.labels", &key.as_str().into(), &problem)
        })
        .collect()
}

/// An object that is being deleted gets no new finalizers. The server reports it twice.
fn finalizer_causes(before: Option<&Value>, object: &Value) -> Vec<Cause> {
    let list = |object: &Value| -> Vec<String> {
        let found = object["metadata"]["finalizers"].as_array();
        let texts = found.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let Some(before) = before.filter(|before| is_deleted(before)) else {
        return Vec::new();
    };
    let known = list(before);
    let new: Vec<String> = list(object)
        .into_iter()
        .filter(|name| !known.contains(name))
        .map(|name| format!("\"{name}\""))
        .collect();
    if new.is_empty() {
        return Vec::new();
    }
    let problem = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        new.join(", ")
    );
    vec![Cause::forbidden("metadata.finalizers", &problem); 2]
}

pub(super) fn is_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(super) fn has_finalizers(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|list| !list.is_empty())
}

fn deployment_causes(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (selector, template) = (
        &object["spec"]["selector"]["matchLabels"],
        &object["spec"]["template"],
    );
    let labels = &template["metadata"]["labels"];
    let selected = selector.as_object().into_iter().flatten();
    if selected
        .into_iter()
        .any(|(key, value)| labels[key] != *value)
    {
        let problem = "`selector` does not match template `labels`";
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            problem,
        ));
    }
    if template["spec"]["containers"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        causes.push(Cause::required("spec.template.spec.containers", ""));
    }
    causes
}

fn definition_causes(name: &str, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if name
        != format!(
            "{}.{}",
            part(&spec["names"]["plural"]),
            part(&spec["group"])
        )
    {
        let problem = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &name.into(), problem));
    }
    for (index, version) in spec["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if version["schema"]["openAPIV3Schema"].is_null() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            causes.push(Cause::required(&field, ""));
        }
    }
    causes
}
