//! The endpoint of the control plane, with the complaints of `talosctl gen config`.

use crate::error::{Error, ErrorKind, Result};
use crate::go::text::quoted;
use crate::go::url::{Url, check_endpoint};

/// A checked endpoint.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// As it is written into documents: the given text with the scheme in lower case.
    pub(super) url: String,
    /// The host without port and brackets.
    pub(super) host: String,
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self> {
        check(text).map_err(|message| {
            Error::new(ErrorKind::InvalidInput, "read cluster endpoint")
                .with_target(text)
                .with_message(message)
        })
    }
}

fn check(text: &str) -> Result<Endpoint, String> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        // Go takes the part before a colon for a scheme and then refuses `10.0.2.10:6443`; the reference reads it as host and port.
        Err(_) if !text.contains('/') => Url {
            host: text,
            ..Url::default()
        },
        Err(cause) => return Err(format!("failed to parse the cluster endpoint URL: {cause}")),
    };
    let complaint = match url.scheme.as_str() {
        "" if url.port().is_empty() => "no scheme and port specified for the cluster endpoint URL",
        "" => "no scheme specified for the cluster endpoint URL",
        "https" => {
            check_endpoint(text)
                .map_err(|cause| format!("error validating the cluster endpoint URL: {cause}"))?;
            return Ok(Endpoint {
                url: format!("https{}", &text["https".len()..]),
                host: url.hostname().to_owned(),
            });
        }
        _ => "the control plane endpoint URL should have scheme https://",
    };
    Err(format!(
        "{complaint}\ntry: {}",
        quoted(&suggestion(text, &url))
    ))
}

/// The endpoint as it was probably meant.
fn suggestion(text: &str, url: &Url<'_>) -> String {
    let (host, path) = if url.scheme.is_empty() && url.host.is_empty() {
        (url.path, "")
    } else {
        (url.host, url.path)
    };
    let scheme_end = if url.scheme.is_empty() {
        0
    } else {
        url.scheme.len() + 1
    };
    if scheme_end > 0 && !text[scheme_end..].starts_with('/') {
        // `name.example:6443` is scheme and opaque part to Go, and an opaque part wins over the host when it is printed.
        return format!("https:{}", &text[scheme_end..]);
    }
    let port = if url.port().is_empty() { ":6443" } else { "" };
    format!("https://{host}{port}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_url_is_kept_as_it_is() {
        for (text, url, host) in [
            (
                "https://kubernetes.lungmen.akn:6443",
                "https://kubernetes.lungmen.akn:6443",
                "kubernetes.lungmen.akn",
            ),
            (
                "HTTPS://Example.com/",
                "https://Example.com/",
                "Example.com",
            ),
            (
                "https://[fd00::1]:6443",
                "https://[fd00::1]:6443",
                "fd00::1",
            ),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.url.as_str(), endpoint.host.as_str()), (url, host));
        }
    }

    #[test]
    fn complaints_are_those_of_the_reference() {
        for (text, message) in [
            (
                "10.0.2.10",
                "no scheme and port specified for the cluster endpoint URL\ntry: \"https://10.0.2.10:6443\"",
            ),
            (
                "cluster.local",
                "no scheme and port specified for the cluster endpoint URL\ntry: \"https://cluster.local:6443\"",
            ),
            (
                "10.0.2.10:7443",
                "no scheme specified for the cluster endpoint URL\ntry: \"https://10.0.2.10:7443\"",
            ),
            (
                "http://a.example/x",
                "the control plane endpoint URL should have scheme https://\ntry: \"https://a.example:6443/x\"",
            ),
            (
                "http://a.example:80",
                "the control plane endpoint URL should have scheme https://\ntry: \"https://a.example:80\"",
            ),
            (
                "name.example:6443",
                "the control plane endpoint URL should have scheme https://\ntry: \"https:6443\"",
            ),
            (
                "https://a b/",
                "failed to parse the cluster endpoint URL: parse \"https://a b/\": invalid character \" \" in host name",
            ),
            (
                "https://:6443",
                "error validating the cluster endpoint URL: hostname must not be blank",
            ),
            (
                "https://a:70000",
                "error validating the cluster endpoint URL: port number must be between 1 and 65535",
            ),
        ] {
            assert_eq!(
                Endpoint::parse(text).unwrap_err().message(),
                message,
                "{text}"
            );
        }
    }
}
