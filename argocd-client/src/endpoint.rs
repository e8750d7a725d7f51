//! The address of the server, in the forms that people write.

use url::Url;

use crate::error::{Error, Result};

/// Reads the address of a server as the `argocd` command line writes it: `host[:port][/root]`,
/// which means `https`, or a whole URL.
///
/// ```
/// let endpoint = argocd_client::parse_endpoint("argocd.akn.chezmoi.sh")?;
///
/// assert_eq!(endpoint.as_str(), "https://argocd.akn.chezmoi.sh/");
/// # Ok::<(), argocd_client::Error>(())
/// ```
///
/// # Errors
/// [`Configuration`](crate::ErrorKind::Configuration) for a text that is not an address of a server.
pub fn parse_endpoint(text: &str) -> Result<Url> {
    let text = text.trim();
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    // Checked first: the message of any other error quotes the text.
    if full.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
    }) {
        return Err(with_credentials());
    }
    let url = Url::parse(&full)
        .map_err(|error| Error::configuration(format!("endpoint {text:?}: {error}")))?;
    normalise(url)
}

/// Checks the address of a server and removes trailing slashes of its root path.
pub(crate) fn normalise(mut url: Url) -> Result<Url> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(with_credentials());
    }
    let invalid = |why: &str| Error::configuration(format!("endpoint {:?}: {why}", url.as_str()));
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("the scheme must be https or http"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("the host is missing"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("remove the query and the fragment"));
    }
    let root = url.path().trim_end_matches('/').to_owned();
    if root.ends_with("/api") || root.ends_with("/api/v1") {
        return Err(invalid("give the address of the server without /api"));
    }
    url.set_path(&root);
    Ok(url)
}

fn with_credentials() -> Error {
    Error::configuration("the endpoint must not contain credentials")
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
            assert_eq!(parse_endpoint(text).unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "https://",
            "ftp://host",
            "host?x=1",
            "host#x",
            "https://host/api/v1",
            "a b",
        ] {
            assert!(parse_endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_in_the_endpoint_are_rejected_without_showing_them() {
        let error = parse_endpoint("https://admin:canary@host").unwrap_err();

        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
