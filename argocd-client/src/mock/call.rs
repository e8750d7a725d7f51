//! The requests that the mock received, without secrets.

use http::Method;
use serde_json::Value;

use super::route::Route;

/// A request that the mock received.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// Which request it was; none for one that the mock does not know.
    pub route: Option<Route>,
    /// Its method.
    pub method: Method,
    /// Its path below the root, still encoded.
    pub path: String,
    /// Its query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Its JSON body; tokens, passwords and keys are masked.
    pub body: Option<Value>,
}

impl Call {
    /// The values of a query parameter.
    pub fn query_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

const SECRETS: [&str; 10] = [
    "bearerToken",
    "currentPassword",
    "gcpServiceAccountKey",
    "githubAppPrivateKey",
    "keyData",
    "newPassword",
    "password",
    "sshPrivateKey",
    "tlsClientCertKey",
    "token",
];

/// Replaces every secret of a body, at any depth.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if SECRETS.contains(&key.as_str()) && value.is_string() {
                    *value = Value::from("***");
                } else if let ("env", Value::Object(variables)) = (key.as_str(), &mut *value) {
                    // Those of a login program.
                    variables
                        .values_mut()
                        .for_each(|text| *text = Value::from("***"));
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let mut body = json!({"newPassword": "canary", "config": {"bearerToken": "canary", "execProviderConfig": {"env": {"A": "canary"}}, "tlsClientConfig": {"caData": "Q0E="}}});

        mask(&mut body);

        assert_eq!(
            body,
            json!({"newPassword": "***", "config": {"bearerToken": "***", "execProviderConfig": {"env": {"A": "***"}}, "tlsClientConfig": {"caData": "Q0E="}}})
        );
    }
}
