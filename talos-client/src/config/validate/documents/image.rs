//! Image references by the rules of the registry library that Talos uses.

use crate::go::url::Url;

/// How an image is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageReference {
    Tag,
    Digest,
}

const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;
const DIGEST: &str = "sha256:";

/// Reads `[registry/]repository[:tag][@digest]`; nothing when it is no reference.
pub(super) fn parse_image(text: &str) -> Option<ImageReference> {
    if is_tagged(text) {
        return Some(ImageReference::Tag);
    }
    let (base, digest) = text.split_once('@')?;
    let hex = digest.strip_prefix(DIGEST)?;
    let is_digest = hex.len() == 64
        && hex
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_digest && (is_tagged(base) || is_repository(base))).then_some(ImageReference::Digest)
}

fn is_tagged(text: &str) -> bool {
    // A colon before the last slash is the port of the registry.
    match text.rsplit_once(':') {
        Some((base, tag)) if !tag.contains('/') => {
            let is_tag = (1..=LONGEST_TAG).contains(&tag.len())
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
            is_tag && is_repository(base)
        }
        _ => is_repository(text),
    }
}

fn is_repository(text: &str) -> bool {
    let (registry, repository) = match text.split_once('/') {
        Some((registry, repository))
            if registry.contains(['.', ':']) || registry == "localhost" =>
        {
            (registry, repository)
        }
        _ => ("", text),
    };
    (2..=LONGEST_REPOSITORY).contains(&repository.len())
        && repository.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-./".contains(&byte)
        })
        && is_registry(registry)
}

/// Whether a URL can have this host, with a port or without.
fn is_registry(registry: &str) -> bool {
    Url::parse(&format!("//{registry}")).is_ok_and(|url| url.host == registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_other_texts() {
        let digest = format!("@sha256:{}", "0a".repeat(32));
        for (text, expected) in [
            ("nginx".to_owned(), Some(ImageReference::Tag)),
            (
                "docker.io/library/x:1".to_owned(),
                Some(ImageReference::Tag),
            ),
            ("localhost:5000/a/b".to_owned(), Some(ImageReference::Tag)),
            (
                format!("ghcr.io/a/b:1{digest}"),
                Some(ImageReference::Digest),
            ),
            (format!("nginx{digest}"), Some(ImageReference::Digest)),
            ("Nginx".to_owned(), None),
            ("x".to_owned(), None),
            ("a b".to_owned(), None),
            ("nginx:a/b:c d".to_owned(), None),
            ("nginx@sha256:00".to_owned(), None),
            (format!("{}:1", "a".repeat(256)), None),
        ] {
            assert_eq!(parse_image(&text), expected, "{text}");
        }
    }
}
