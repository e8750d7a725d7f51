//! Official extensions and overlays by Talos version, embedded for work without a network.
//!
//! The data are the catalogues of v1.10.0, v1.10.7, v1.11.6, v1.12.11, v1.13.9 and v1.14.0. Names only ever joined
//! between those; within a minor only `youki` is known to have come with a patch.

use std::sync::LazyLock;

use crate::version::TalosVersion;

static EXTENSIONS: LazyLock<Vec<(TalosVersion, &'static str)>> = LazyLock::new(|| {
    let lines = include_str!("../data/extensions.txt").lines();
    lines
        .filter_map(|line| {
            let (since, name) = line.split_once(' ')?;
            Some((TalosVersion::parse(since).ok()?, name))
        })
        .collect()
});

/// The official extensions of a version in alphabetical order; `None` when its minor is not embedded.
pub(crate) fn extensions(version: &TalosVersion) -> Option<Vec<&'static str>> {
    is_embedded(version).then(|| {
        let minor = |version: &TalosVersion| (version.major(), version.minor());
        EXTENSIONS
            .iter()
            .filter(|(since, _)| minor(since) < minor(version) || is_included(since, version))
            .map(|(_, name)| *name)
            .collect()
    })
}

/// Pre-releases of a minor have the extensions of its first release.
fn is_included(since: &TalosVersion, version: &TalosVersion) -> bool {
    since.minor() == version.minor() && since.patch() <= version.patch()
}

/// The official overlays, known for Talos 1.10 alone.
pub(crate) fn overlays(version: &TalosVersion) -> Option<Vec<&'static str>> {
    let known = version.major() == 1 && version.minor() == 10;
    known.then(|| include_str!("../data/overlays.txt").lines().collect())
}

/// The data name the first and the newest minor: every minor so far has added an extension.
fn is_embedded(version: &TalosVersion) -> bool {
    let minors = || EXTENSIONS.iter().map(|(since, _)| since.minor());
    let (first, last) = (minors().min(), minors().max());
    version.major() == 1 && first <= Some(version.minor()) && Some(version.minor()) <= last
}

/// The present name of an extension that the factory still accepts under an old one.
///
/// The factory tries these when a name is not in the catalogue; the ID keeps the name that was sent. Its table also
/// leads `nvidia-fabricmanager` to a name that does not exist, so that one is left out.
pub(crate) fn present_name(name: &str) -> Option<&'static str> {
    Some(match name.strip_prefix("siderolabs/")? {
        "v4l-uvc" => "siderolabs/v4l-uvc-drivers",
        "usb-modem" => "siderolabs/usb-modem-drivers",
        "gasket" => "siderolabs/gasket-driver",
        "talos-vmtoolsd" => "siderolabs/vmtoolsd-guest-agent",
        "xe-guest-utilities" => "siderolabs/xen-guest-agent",
        "nvidia-container-toolkit" => "siderolabs/nvidia-container-toolkit-lts",
        "nvidia-open-gpu-kernel-modules" => "siderolabs/nvidia-open-gpu-kernel-modules-lts",
        "nonfree-kmod-nvidia" => "siderolabs/nonfree-kmod-nvidia-lts",
        "i915-ucode" => "siderolabs/i915",
        "amdgpu-firmware" => "siderolabs/amdgpu",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Option<usize> {
        extensions(&TalosVersion::parse(text).unwrap()).map(|names| names.len())
    }

    #[test]
    fn the_catalogue_has_the_size_of_the_real_one() {
        for (version, size) in [
            ("v1.10.0", 61),
            ("v1.10.7", 62),
            ("v1.11.6", 67),
            ("v1.12.11", 78),
            ("v1.13.9", 83),
            ("v1.14.0", 86),
            ("v1.14.0-rc.1", 86),
        ] {
            assert_eq!(count(version), Some(size), "{version}");
        }
        assert_eq!(count("v1.9.5"), None);
        assert_eq!(count("v1.15.0"), None);
    }

    #[test]
    fn old_names_lead_to_names_that_exist() {
        let names = extensions(&TalosVersion::new(1, 10, 7)).unwrap();
        let present = present_name("siderolabs/gasket").unwrap();

        assert!(names.contains(&present));
        assert_eq!(present_name("siderolabs/nvidia-fabricmanager"), None);
    }
}
