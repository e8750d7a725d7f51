//! The responses of the factory, without connections.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::response::MockResponse;
use super::serve::Received;
use super::state::FactoryState;
use super::{Route, build, upload};
use crate::catalogue;
use crate::id::SchematicId;
use crate::version::TalosVersion;

pub(super) async fn response(
    state: &FactoryState,
    received: &Received,
    target: Option<(Route, Vec<&str>)>,
) -> MockResponse {
    let Some((route, parts)) = target else {
        let (method, path) = (&received.method, &received.path);
        let text = format!("the factory mock has no route {method} {path}");
        return MockResponse::error(StatusCode::NOT_IMPLEMENTED, text);
    };
    if !exists(route, state) {
        return MockResponse::not_found("404 page not found");
    }
    if !route.allows(&received.method) {
        return MockResponse::error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .with(header::ALLOW, route.methods());
    }
    if route.is_protected() && !is_authorized(state, received) {
        let text = "authentication required to access this schematic";
        return MockResponse::error(StatusCode::UNAUTHORIZED, text).with(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"Image Factory Enterprise\"",
        );
    }
    match (route, parts.as_slice()) {
        (Route::CreateSchematic, _) => upload::create(state, &received.body),
        (Route::GetSchematic, [id]) => upload::get(state, id),
        (Route::Image, [id, version, file]) => {
            build::image(state, received, [id, version, file]).await
        }
        (Route::Storage, [id, version, file]) => {
            build::stored(state, received, [id, version, file])
        }
        (Route::Manifest, [name, id, tag]) => build::manifest(state, [name, id, tag]).await,
        (Route::Pxe, [id, version, target]) => build::pxe(state, [id, version, target]),
        (Route::Versions, _) => versions(state, received),
        (Route::Extensions, [version]) => extensions(state, version),
        (Route::Overlays, [version]) => overlays(state, version),
        (Route::Talosctl, [version]) => talosctl(state, version),
        (Route::SigningCertificate, _) => signing_certificate(state),
        (Route::SigningKey, _) => pem(state, "PUBLIC KEY"),
        _ => MockResponse::empty(),
    }
}

/// Since which version of the service a route exists.
fn exists(route: Route, state: &FactoryState) -> bool {
    let factory = &state.settings.factory;
    let since = match route {
        Route::SigningCertificate => (0, 2, 0),
        Route::Overlays => (0, 3, 0),
        Route::GetSchematic => (0, 9, 0),
        Route::Talosctl => (1, 2, 0),
        Route::Ready => (1, 3, 0),
        Route::Enterprise => return false,
        _ => (0, 1, 0),
    };
    (factory.major, factory.minor, factory.patch) >= since
}

fn is_authorized(state: &FactoryState, received: &Received) -> bool {
    let Some((user, password)) = &state.settings.account else {
        return true;
    };
    let wanted = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    received.header(header::AUTHORIZATION) == Some(&format!("Basic {wanted}"))
}

/// The Talos version in a path, when this factory has it; else the response of the factory.
pub(super) fn known_version(
    state: &FactoryState,
    text: &str,
) -> Result<TalosVersion, MockResponse> {
    let version = TalosVersion::parse(text).map_err(|_| MockResponse::internal_error())?;
    if state.settings.versions.contains_key(&version) {
        return Ok(version);
    }
    let bare = version.to_string();
    let bare = bare.trim_start_matches('v');
    Err(MockResponse::not_found(format!(
        "version {bare} is not available"
    )))
}

fn versions(state: &FactoryState, received: &Received) -> MockResponse {
    let asks_for_broken = received.query.as_deref() == Some("broken=true");
    let factory = &state.settings.factory;
    if asks_for_broken && (factory.major, factory.minor, factory.patch) >= (1, 3, 3) {
        return MockResponse::list(&Value::Null);
    }
    let versions = state.settings.versions.keys();
    let versions: Vec<String> = versions.map(ToString::to_string).collect();
    MockResponse::list(&json!(versions))
}

fn extensions(state: &FactoryState, version: &str) -> MockResponse {
    let version = match known_version(state, version) {
        Ok(version) => version,
        Err(response) => return response,
    };
    let names = &state.settings.versions[&version];
    let list: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "name": name,
                "ref": format!("ghcr.io/{name}:{version}"),
                "digest": digest(&format!("{name}:{version}")),
                "author": "Sidero Labs",
                "description": format!("{name}\nfor Talos {version}"),
            })
        })
        .collect();
    MockResponse::list(&json!(list))
}

fn overlays(state: &FactoryState, version: &str) -> MockResponse {
    let version = match known_version(state, version) {
        Ok(version) => version,
        Err(response) => return response,
    };
    let names = catalogue::overlays(&version).unwrap_or_default();
    let list: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "name": name,
                "image": "siderolabs/sbc",
                "ref": format!("ghcr.io/siderolabs/sbc:{version}"),
                "digest": digest(name),
            })
        })
        .collect();
    MockResponse::list(&json!(list))
}

fn talosctl(state: &FactoryState, version: &str) -> MockResponse {
    match known_version(state, version) {
        Ok(version) if version.is_at_least(1, 11) => {
            let url = format!("{}/talosctl/{version}/talosctl-linux-amd64", state.endpoint);
            MockResponse::list(&json!([url]))
        }
        Ok(_) => MockResponse::list(&json!([])),
        Err(response) => response,
    }
}

fn signing_certificate(state: &FactoryState) -> MockResponse {
    if state.settings.secure_boot {
        pem(state, "CERTIFICATE")
    } else {
        MockResponse::internal_error()
    }
}

/// A block that is only well-formed as PEM: nothing in the mock signs anything.
fn pem(state: &FactoryState, label: &str) -> MockResponse {
    let content = STANDARD.encode(format!("{label} of {}", state.endpoint));
    let text = format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n");
    MockResponse::new(StatusCode::OK, "application/x-pem-file", text)
}

pub(super) fn digest(text: &str) -> String {
    format!("sha256:{}", SchematicId::of_text(text))
}

pub(super) fn is_head(received: &Received) -> bool {
    received.method == Method::HEAD
}
