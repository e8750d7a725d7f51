//! What was asked of the mock.

use http::Method;

use super::route::Route;

/// A request that reached the mock and was understood, whether refused or not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The call.
    pub route: Route,
    /// The HTTP method.
    pub method: Method,
    /// The decoded path after `/api2/json`.
    pub path: String,
    /// All parameters, decoded, those of the path first; passwords are masked.
    pub params: Vec<(String, String)>,
}

impl Call {
    pub(super) fn new(
        route: Route,
        method: &Method,
        path: &str,
        params: &[(String, String)],
    ) -> Self {
        let masked = params.iter().map(|(name, value)| {
            let secret = matches!(
                name.as_str(),
                "password" | "otp" | "tfa-challenge" | "cipassword"
            );
            (
                name.clone(),
                if secret {
                    "***".to_owned()
                } else {
                    value.clone()
                },
            )
        });
        Self {
            route,
            method: method.clone(),
            path: path.trim_start_matches("/api2/json").to_owned(),
            params: masked.collect(),
        }
    }

    /// The value of a parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }
}
