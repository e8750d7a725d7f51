//! What the factory answers, without the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::reply::Reply;
use super::serve::Received;
use super::state::World;
use super::{Route, build, upload};
use crate::catalogue;
use crate::id::SchematicId;
use crate::version::TalosVersion;

pub(super) async fn reply(
    world: &World,
    received: &Received,
    target: Option<(Route, Vec<&str>)>,
) -> Reply {
    let Some((route, parts)) = target else {
        let (method, path) = (&received.method, &received.path);
        let text = format!("the factory mock has no route {method} {path}");
        return Reply::error(StatusCode::NOT_IMPLEMENTED, text);
    };
    if !exists(route, world) {
        return Reply::not_found("404 page not found");
    }
    if !route.allows(&received.method) {
        return Reply::error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .with(header::ALLOW, route.methods());
    }
    if route.is_protected() && !is_authorized(world, received) {
        let text = "authentication required to access this schematic";
        return Reply::error(StatusCode::UNAUTHORIZED, text).with(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"Image Factory Enterprise\"",
        );
    }
    match (route, parts.as_slice()) {
        (Route::CreateSchematic, _) => upload::create(world, &received.body),
        (Route::GetSchematic, [id]) => upload::get(world, id),
        (Route::Image, [id, version, file]) => {
            build::image(world, received, [id, version, file]).await
        }
        (Route::Storage, [id, version, file]) => {
            build::stored(world, received, [id, version, file])
        }
        (Route::Manifest, [name, id, tag]) => build::manifest(world, [name, id, tag]).await,
        (Route::Pxe, [id, version, target]) => build::pxe(world, [id, version, target]),
        (Route::Versions, _) => versions(world, received),
        (Route::Extensions, [version]) => extensions(world, version),
        (Route::Overlays, [version]) => overlays(world, version),
        (Route::Talosctl, [version]) => talosctl(world, version),
        (Route::SigningCertificate, _) => signing_certificate(world),
        (Route::SigningKey, _) => pem(world, "PUBLIC KEY"),
        _ => Reply::empty(),
    }
}

/// Since which version of the service a route exists.
fn exists(route: Route, world: &World) -> bool {
    let factory = &world.settings.factory;
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

fn is_authorized(world: &World, received: &Received) -> bool {
    let Some((user, password)) = &world.settings.account else {
        return true;
    };
    let wanted = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    received.header(header::AUTHORIZATION) == Some(&format!("Basic {wanted}"))
}

/// The Talos version in a path, when this factory has it; else what the factory says instead.
pub(super) fn known_version(world: &World, text: &str) -> Result<TalosVersion, Reply> {
    let version = TalosVersion::parse(text).map_err(|_| Reply::internal_error())?;
    if world.settings.versions.contains_key(&version) {
        return Ok(version);
    }
    let bare = version.to_string();
    let bare = bare.trim_start_matches('v');
    Err(Reply::not_found(format!("version {bare} is not available")))
}

fn versions(world: &World, received: &Received) -> Reply {
    let asks_for_broken = received.query.as_deref() == Some("broken=true");
    let factory = &world.settings.factory;
    if asks_for_broken && (factory.major, factory.minor, factory.patch) >= (1, 3, 3) {
        return Reply::list(&Value::Null);
    }
    let versions = world.settings.versions.keys();
    let versions: Vec<String> = versions.map(ToString::to_string).collect();
    Reply::list(&json!(versions))
}

fn extensions(world: &World, version: &str) -> Reply {
    let version = match known_version(world, version) {
        Ok(version) => version,
        Err(reply) => return reply,
    };
    let names = &world.settings.versions[&version];
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
    Reply::list(&json!(list))
}

fn overlays(world: &World, version: &str) -> Reply {
    let version = match known_version(world, version) {
        Ok(version) => version,
        Err(reply) => return reply,
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
    Reply::list(&json!(list))
}

fn talosctl(world: &World, version: &str) -> Reply {
    match known_version(world, version) {
        Ok(version) if version.is_at_least(1, 11) => {
            let url = format!("{}/talosctl/{version}/talosctl-linux-amd64", world.endpoint);
            Reply::list(&json!([url]))
        }
        Ok(_) => Reply::list(&json!([])),
        Err(reply) => reply,
    }
}

fn signing_certificate(world: &World) -> Reply {
    if world.settings.secure_boot {
        pem(world, "CERTIFICATE")
    } else {
        Reply::internal_error()
    }
}

/// A block that is only well-formed as PEM: nothing in the mock signs anything.
fn pem(world: &World, label: &str) -> Reply {
    let content = STANDARD.encode(format!("{label} of {}", world.endpoint));
    let text = format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n");
    Reply::new(StatusCode::OK, "application/x-pem-file", text)
}

pub(super) fn digest(text: &str) -> String {
    format!("sha256:{}", SchematicId::of_text(text))
}

pub(super) fn is_head(received: &Received) -> bool {
    received.method == Method::HEAD
}
