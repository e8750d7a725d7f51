//! The official extensions and overlays that a factory lists, with the version that has each first.

use std::collections::BTreeMap;

use factory_client::{Client, Result, TalosVersion};

/// The texts of `extensions.txt` and `overlays.txt`.
///
/// An extension of the first listed version of a minor belongs to the whole minor; one that a later patch adds belongs to
/// this patch and its successors. The overlays are those of the first version.
pub(crate) async fn collect(
    client: &Client,
    versions: &[TalosVersion],
) -> Result<(String, String)> {
    let mut versions = versions.to_vec();
    versions.sort();
    let mut since = BTreeMap::new();
    let mut minor = None;
    for version in &versions {
        let is_first = minor.replace(version.minor()) != Some(version.minor());
        let patch = if is_first { 0 } else { version.patch() };
        let first = TalosVersion::new(version.major(), version.minor(), patch).to_string();
        for extension in client.official_extensions(version).await? {
            let first = first.trim_start_matches('v').to_owned();
            since.entry(extension.name).or_insert(first);
        }
    }
    let extensions = since
        .iter()
        .map(|(name, since)| format!("{since} {name}\n"));
    let mut overlays = String::new();
    if let Some(version) = versions.first() {
        for overlay in client.official_overlays(version).await? {
            overlays.push_str(&overlay.name);
            overlays.push('\n');
        }
    }
    Ok((extensions.collect(), overlays))
}
