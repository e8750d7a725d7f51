//! Images and installers: the checks in the factory's order, the build, the response.

use http::{StatusCode, header};

use super::MockEvent;
use super::handler::{digest, is_head, known_version};
use super::image::Content;
use super::response::MockResponse;
use super::serve::Received;
use super::state::FactoryState;
use crate::catalogue;
use crate::id::SchematicId;
use crate::image::{Image, ImageRequest, Output};
use crate::schematic::Schematic;
use crate::version::TalosVersion;

/// The response to `GET` and `HEAD /image/{id}/{version}/{file}`.
pub(super) async fn image(
    state: &FactoryState,
    received: &Received,
    parts: [&str; 3],
) -> MockResponse {
    let [id, version, file] = parts;
    let (file, is_checksum) = match file.strip_suffix(".sha256") {
        Some(file) => (file, true),
        None => (file, false),
    };
    if is_checksum && state.settings.account.is_none() {
        return MockResponse::error(
            StatusCode::PAYMENT_REQUIRED,
            "enterprise not enabled: checksum endpoint is not available",
        );
    }
    if file.ends_with(".sigstore.json") {
        return MockResponse::error(
            StatusCode::PAYMENT_REQUIRED,
            "enterprise signing is not enabled: signature endpoint is not available",
        );
    }
    let (image, schematic) = match checked(state, [id, version, file]) {
        Ok(checked) => checked,
        Err(response) => return response,
    };
    let path = format!("{}/{}/{file}", image.schematic(), image.version());
    tokio::time::sleep_until(state.build(&path).into()).await;
    let content = content(state, &image, &schematic);
    if is_checksum {
        let text = format!("{}  {file}\n", content.sha256());
        return MockResponse::new(StatusCode::OK, "text/plain; charset=utf-8", text);
    }
    state.emit(MockEvent::ImageServed(path.clone()));
    match &state.settings.storage {
        // Only a GET is ever redirected.
        Some(storage) if !is_head(received) => {
            let location = format!("{storage}storage/{path}?X-Amz-Signature=presigned");
            MockResponse::redirect(StatusCode::FOUND, &location)
        }
        _ => {
            let name = file_name(received, file);
            MockResponse::content(content, 0)
                .with(header::CONTENT_TYPE, content_type(file))
                .with(
                    header::CONTENT_DISPOSITION,
                    &format!("attachment; filename=\"{name}\""),
                )
        }
    }
}

/// Everything that the factory checks before it builds.
fn checked(state: &FactoryState, parts: [&str; 3]) -> Result<(Image, Schematic), MockResponse> {
    let [id, version, file] = parts;
    let unknown = || MockResponse::not_found(format!("schematic ID \"{id}\" not found"));
    let id = SchematicId::parse(id).map_err(|_| unknown())?;
    let schematic = state.look_up(&id).ok_or_else(unknown)?;
    if let Some((user, _)) = &state.settings.account
        && schematic.owner() != user
    {
        return Err(MockResponse::error(StatusCode::FORBIDDEN, "access denied"));
    }
    let version = TalosVersion::parse(version).map_err(|_| MockResponse::internal_error())?;
    let request = parse_path(file)?;
    enhance(state, &schematic, &version, request)?;
    Ok((request.of(id, version), schematic))
}

fn parse_path(file: &str) -> Result<ImageRequest, MockResponse> {
    file.parse().map_err(|error: crate::Error| {
        let what = match error.operation() {
            // The path is well-formed, so the build begins and fails.
            "parse platform" => return MockResponse::internal_error(),
            "parse architecture" => format!("invalid architecture: \"{}\"", error.target()),
            _ => format!("invalid profile path: \"{file}\""),
        };
        MockResponse::bad_request(format!("error parsing profile from path: {what}"))
    })
}

/// Where names and features are looked up: the first moment at which a schematic meets a Talos version.
fn enhance(
    state: &FactoryState,
    schematic: &Schematic,
    version: &TalosVersion,
    request: ImageRequest,
) -> Result<(), MockResponse> {
    const CONTEXT: &str = "error enhancing profile from schematic:";
    let reject = |text: String| Err(MockResponse::bad_request(format!("{CONTEXT} {text}")));
    let Some(available) = state.settings.versions.get(version) else {
        let context = if schematic.extensions().is_empty() {
            "failed to get kernel:".to_owned()
        } else {
            format!("{CONTEXT} error getting official extensions:")
        };
        let bare = version.to_string();
        let bare = bare.trim_start_matches('v');
        return Err(MockResponse::not_found(format!(
            "{context} version {bare} is not available"
        )));
    };
    let is_available = |name: &str| available.iter().any(|other| other == name);
    for name in schematic.extensions() {
        let by_old_name = catalogue::present_name(name).is_some_and(is_available);
        if !is_available(name) && !by_old_name {
            return reject(format!(
                "official extension \"{name}\" is not available for Talos version {version}"
            ));
        }
    }
    if let Some(overlay) = schematic.overlay() {
        if !version.is_at_least(1, 7) {
            return reject(format!(
                "overlay is not supported for Talos version {version}"
            ));
        }
        let names = catalogue::overlays(version).unwrap_or_default();
        if !names.contains(&overlay.name.as_str()) {
            return reject(format!(
                "official overlay {{{} {}}} is not available for Talos version {version}",
                overlay.image, overlay.name
            ));
        }
    }
    if !schematic.embedded_machine_configuration().is_empty() && !version.is_at_least(1, 12) {
        return reject(format!(
            "embedding configuration is not supported for Talos version {version}"
        ));
    }
    if request.is_secure_boot() && !state.settings.secure_boot {
        return reject("secure boot is disabled".to_owned());
    }
    Ok(())
}

fn content(state: &FactoryState, image: &Image, schematic: &Schematic) -> Content {
    let canonical = schematic.canonical_by(state.settings.generation());
    Content::new(image, &canonical, state.settings.image_size)
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("iso") => "application/x-iso9660-image",
        Some("xz") => "application/x-xz",
        Some("gz") => "application/gzip",
        Some("qcow2") => "application/x-qemu-disk",
        Some("efi") => "application/efi",
        _ => "application/octet-stream",
    }
}

fn file_name<'a>(received: &'a Received, file: &'a str) -> &'a str {
    let query = received.query.as_deref().unwrap_or_default();
    query
        .split('&')
        .find_map(|part| part.strip_prefix("filename="))
        .unwrap_or(file)
}

/// The response of the object storage: no credentials wanted, ranges supported.
pub(super) fn stored(state: &FactoryState, received: &Received, parts: [&str; 3]) -> MockResponse {
    let Ok((image, schematic)) = checked(state, parts) else {
        return MockResponse::error(StatusCode::FORBIDDEN, "AccessDenied");
    };
    let content = content(state, &image, &schematic);
    let (etag, length) = (content.etag(), content.length);
    let wanted = received.header(header::RANGE).and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let is_same = received
        .header(header::IF_RANGE)
        .is_none_or(|wanted| wanted == etag);
    let response = match wanted.filter(|_| is_same) {
        Some(offset) if offset >= length => {
            let range = format!("bytes */{length}");
            let mut response = MockResponse::empty().with(header::CONTENT_RANGE, &range);
            response.status = StatusCode::RANGE_NOT_SATISFIABLE;
            return response;
        }
        Some(offset) => {
            let range = format!("bytes {offset}-{}/{length}", length - 1);
            let mut response =
                MockResponse::content(content, offset).with(header::CONTENT_RANGE, &range);
            response.status = StatusCode::PARTIAL_CONTENT;
            response
        }
        None => MockResponse::content(content, 0),
    };
    response
        .with(header::CONTENT_TYPE, "binary/octet-stream")
        .with(header::ACCEPT_RANGES, "bytes")
        .with(header::ETAG, &etag)
}

/// The response to a manifest request: builds the installers of both architectures first.
pub(super) async fn manifest(state: &FactoryState, parts: [&str; 3]) -> MockResponse {
    let [name, id, tag] = parts;
    let stem = name.strip_suffix("-secureboot").unwrap_or(name);
    if stem != "installer" && !stem.ends_with("-installer") {
        return MockResponse::bad_request(format!("invalid image: {name}"));
    }
    let unknown = || MockResponse::not_found(format!("schematic ID \"{id}\" not found"));
    let Ok(parsed) = SchematicId::parse(id) else {
        return unknown();
    };
    let Some(schematic) = state.look_up(&parsed) else {
        return unknown();
    };
    let path = format!("v2/siderolabs/{name}/{id}/manifests");
    let registry = "https://registry.example";
    if !tag.starts_with('v') && tag != "latest" {
        // Digests and anything else go to the backing registry untouched.
        let location = format!("{registry}/{path}/{tag}");
        return MockResponse::redirect(StatusCode::TEMPORARY_REDIRECT, &location);
    }
    let newest = state
        .settings
        .versions
        .keys()
        .rfind(|version| version.is_stable());
    let tag = match (tag, newest) {
        ("latest", Some(newest)) => newest.to_string(),
        (tag, _) => tag.to_owned(),
    };
    let version = match known_version(state, &tag) {
        Ok(version) => version,
        Err(response) => return response,
    };
    let platform = crate::platform::Platform::Metal;
    let request = ImageRequest::new(platform, Output::InstallerArchive);
    let request = if name.ends_with("-secureboot") {
        request.secure_boot()
    } else {
        request
    };
    if let Err(response) = enhance(state, &schematic, &version, request) {
        return response;
    }
    tokio::time::sleep_until(state.build(&format!("{name}/{id}:{version}")).into()).await;
    let digest = digest(&format!("{name}/{id}:{version}"));
    if state.settings.proxies_registry {
        let kind = "application/vnd.oci.image.index.v1+json";
        let response = MockResponse::new(StatusCode::OK, kind, "{\"schemaVersion\":2}".to_owned());
        return response.with(
            header::HeaderName::from_static("docker-content-digest"),
            &digest,
        );
    }
    let location = format!("{registry}/{path}/{digest}");
    MockResponse::redirect(StatusCode::TEMPORARY_REDIRECT, &location)
}

/// The iPXE script of `{platform}-{arch}[-secureboot]`.
pub(super) fn pxe(state: &FactoryState, parts: [&str; 3]) -> MockResponse {
    let [id, version, target] = parts;
    let (image, _) = match checked(state, [id, version, &format!("{target}.iso")]) {
        Ok(checked) => checked,
        Err(response) => return response,
    };
    let (endpoint, version) = (&state.endpoint, image.version());
    let base = format!(
        "{}/image/{id}/{version}",
        endpoint.as_str().trim_end_matches('/')
    );
    let (platform, arch) = (image.request().platform(), image.request().architecture());
    let command_line = format!("talos.platform={platform} console=tty1");
    let boot = if image.request().is_secure_boot() {
        format!("kernel {base}/{target}-uki.efi {command_line}\n")
    } else {
        format!("kernel {base}/kernel-{arch} {command_line}\ninitrd {base}/initramfs-{arch}.xz\n")
    };
    let script = format!("#!ipxe\n\nimgfree\n{boot}boot\n");
    MockResponse::new(StatusCode::OK, "text/plain; charset=utf-8", script)
}
