//! The routes of a factory.

use http::Method;

/// A route: the key of faults and of recorded calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `POST /schematics`
    CreateSchematic,
    /// `GET /schematics/{id}`
    GetSchematic,
    /// `GET|HEAD /image/{id}/{version}/{file}`
    Image,
    /// The object storage that images are redirected to.
    Storage,
    /// `GET /versions`
    Versions,
    /// `GET /version/{version}/extensions/official`
    Extensions,
    /// `GET /version/{version}/overlays/official`
    Overlays,
    /// `GET /talosctl/{version}`
    Talosctl,
    /// `GET /pxe/{id}/{version}/{target}`
    Pxe,
    /// `GET /secureboot/signing-cert.pem`
    SigningCertificate,
    /// `GET /oci/cosign/signing-key.pub`
    SigningKey,
    /// `GET|HEAD /healthz`
    Health,
    /// `GET|HEAD /readyz`
    Ready,
    /// `GET|HEAD /v2/`
    Registry,
    /// `GET|HEAD /v2/{image}/{id}/manifests/{reference}`
    Manifest,
    /// Routes of the Enterprise edition, to which a community factory responds with 404.
    Enterprise,
}

impl Route {
    /// Every route.
    pub const ALL: &[Self] = &[
        Self::CreateSchematic,
        Self::GetSchematic,
        Self::Image,
        Self::Storage,
        Self::Versions,
        Self::Extensions,
        Self::Overlays,
        Self::Talosctl,
        Self::Pxe,
        Self::SigningCertificate,
        Self::SigningKey,
        Self::Health,
        Self::Ready,
        Self::Registry,
        Self::Manifest,
        Self::Enterprise,
    ];

    /// The route of a path and its variable parts.
    pub(super) fn of<'a>(path: &'a str) -> Option<(Self, Vec<&'a str>)> {
        let segments: Vec<&'a str> = path.trim_start_matches('/').split('/').collect();
        Some(match segments.as_slice() {
            ["schematics"] => (Self::CreateSchematic, vec![]),
            ["schematics", id] => (Self::GetSchematic, vec![id]),
            ["image", id, version, file] => (Self::Image, vec![id, version, file]),
            ["storage", id, version, file] => (Self::Storage, vec![id, version, file]),
            ["versions"] => (Self::Versions, vec![]),
            ["version", version, "extensions", "official"] => (Self::Extensions, vec![version]),
            ["version", version, "overlays", "official"] => (Self::Overlays, vec![version]),
            ["talosctl", version] => (Self::Talosctl, vec![version]),
            ["pxe", id, version, target] => (Self::Pxe, vec![id, version, target]),
            ["secureboot", "signing-cert.pem"] => (Self::SigningCertificate, vec![]),
            ["oci", "cosign", "signing-key.pub"] => (Self::SigningKey, vec![]),
            ["healthz"] => (Self::Health, vec![]),
            ["readyz"] => (Self::Ready, vec![]),
            ["v2"] | ["v2", ""] => (Self::Registry, vec![]),
            ["v2", image, id, "manifests", reference] => {
                (Self::Manifest, vec![image, id, reference])
            }
            ["spdx" | "vex" | "scans", ..] | ["download-token"] | [".well-known", "jwks.json"] => {
                (Self::Enterprise, vec![])
            }
            _ => return None,
        })
    }

    /// Whether the router has this route with this method; the response is 405 otherwise.
    pub(super) fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|m| m == method.as_str())
    }

    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::CreateSchematic => "POST",
            Self::Image | Self::Health | Self::Ready | Self::Registry | Self::Manifest => {
                "GET, HEAD"
            }
            Self::Enterprise => "GET, HEAD, POST",
            _ => "GET",
        }
    }

    /// Whether an Enterprise factory requires credentials here.
    pub(super) fn is_protected(self) -> bool {
        matches!(
            self,
            Self::CreateSchematic
                | Self::GetSchematic
                | Self::Image
                | Self::Pxe
                | Self::Registry
                | Self::Manifest
        )
    }
}
