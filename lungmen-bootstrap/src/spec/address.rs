//! Addresses of servers in a specification. What may be a secret in them is refused without being repeated.

use url::Url;

/// Why an address is refused, in words that hold nothing of the parts that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The address as far as it may be shown.
    pub(crate) shown: String,
    pub(crate) allowed: String,
}

/// An address from text.
pub(crate) fn parse(text: &str, allowed: &str) -> Result<Url, Refused> {
    match Url::parse(text) {
        Ok(url) => check(url),
        Err(_) => Err(Refused {
            shown: harmless(text),
            allowed: allowed.to_owned(),
        }),
    }
}

/// An address with a host, and without user name, password, query and fragment.
pub(crate) fn check(url: Url) -> Result<Url, Refused> {
    if !url.has_host() {
        return Err(Refused {
            shown: harmless(url.as_str()),
            allowed: "must be a URL with a host, https://HOST".to_owned(),
        });
    }
    let allowed = if !url.username().is_empty() || url.password().is_some() {
        "must have no user name and no password; credentials are given to the client"
    } else if url.fragment().is_some() {
        "must have no fragment (the part after #)"
    } else if url.query().is_some() {
        "must have no query (the part after ?)"
    } else {
        return Ok(url);
    };
    let host = url.host_str().unwrap_or_default();
    Err(Refused {
        shown: format!("{}://{host}", url.scheme()),
        allowed: allowed.to_owned(),
    })
}

/// The address of a server that may be given as a host alone.
pub(crate) fn check_host(text: &str) -> Result<(), Refused> {
    const ALLOWED: &str =
        "must be a host, or the URL of a server, without credentials, query or fragment";
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let url = parse(&whole, ALLOWED)?;
    match url.scheme() {
        "http" | "https" => Ok(()),
        _ => Err(Refused {
            shown: harmless(text),
            allowed: ALLOWED.to_owned(),
        }),
    }
}

/// The text, unless it may hold credentials, a query or a fragment.
fn harmless(text: &str) -> String {
    match text.contains(['@', '?', '#']) {
        true => "a text with @, ? or #".to_owned(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_refused_and_not_repeated() {
        for text in [
            "https://canary@pve:8006",
            "https://:canary@pve:8006",
            "https://root:canary@pve:8006/api",
            "https://pve:8006/#canary",
            "https://pve:8006/?token=canary",
            "//root:canary@pve",
            "https://root:canary@[::",
            "root:canary@pve",
        ] {
            for refused in [parse(text, "a URL").err(), check_host(text).err()] {
                let refused = refused.unwrap_or_else(|| panic!("{text} is accepted"));
                let shown = format!("{refused:?}");
                assert!(!shown.contains("canary"), "{text}: {shown}");
            }
        }
    }

    #[test]
    fn a_host_alone_is_an_address_where_it_may_be_one() {
        for text in [
            "argocd.example.org",
            "argocd.example.org:8080/root",
            "http://10.0.0.1",
        ] {
            assert_eq!(check_host(text), Ok(()), "{text}");
        }
        for text in ["", "ftp://a", "a b"] {
            assert!(check_host(text).is_err(), "{text}");
        }
    }
}
