//! The address of the server, in the forms that people write.

use url::Url;

use crate::error::{Error, Result};

/// Turns what a user gives into the base URL: `https` unless said otherwise, an optional root
/// path, no trailing slash.
///
/// The `argocd` command line accepts only `host[:port]`; we also accept a URL.
pub(crate) fn parse(text: &str) -> Result<Url> {
    let text = text.trim();
    let invalid = |why: &str| Error::configuration(format!("endpoint {text:?}: {why}"));
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    // Checked first: the message of any other refusal quotes the text.
    if full.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
    }) {
        return Err(Error::configuration(
            "the endpoint must not contain credentials",
        ));
    }
    let mut url = Url::parse(&full).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("the scheme must be https or http"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("the host is missing"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("a query or fragment does not belong here"));
    }
    let root = url.path().trim_end_matches('/').to_owned();
    if root.ends_with("/api") || root.ends_with("/api/v1") {
        return Err(invalid("give the address of the server without /api"));
    }
    url.set_path(&root);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_https() {
        for (text, url) in [
            ("argocd.akn.chezmoi.sh", "https://argocd.akn.chezmoi.sh/"),
            (
                " argocd.akn.chezmoi.sh:8443 ",
                "https://argocd.akn.chezmoi.sh:8443/",
            ),
            ("localhost:8080", "https://localhost:8080/"),
            ("[::1]:8080", "https://[::1]:8080/"),
            ("argocd.example.com/cd/", "https://argocd.example.com/cd"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            (
                "HTTPS://ArgoCD.Example.com//",
                "https://argocd.example.com/",
            ),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "https://",
            "ftp://host",
            "host?x=1",
            "host#x",
            "https://host/api/v1",
            "a b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_in_the_endpoint_are_refused_without_showing_them() {
        let error = parse("https://admin:canary@host").unwrap_err();

        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
