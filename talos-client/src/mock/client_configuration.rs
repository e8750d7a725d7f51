//! Client certificates that a mock node issues.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use tonic::Status;

use super::machine::control_plane_only;
use super::node::Node;
use crate::api::pb::machine as pb;

/// Issues a certificate of the Talos authority in the node's configuration.
pub(super) fn issue(
    node: &Node,
    request: &pb::GenerateClientConfigurationRequest,
) -> Result<pb::GenerateClientConfiguration, Status> {
    control_plane_only(node, "generate client configuration")?;
    let lifetime = request
        .crt_ttl
        .and_then(|time| Duration::try_from(time).ok());
    if lifetime.is_none_or(|time| time.is_zero()) {
        return Err(Status::invalid_argument("crt_ttl should be positive"));
    }
    let failed = |error: &dyn std::fmt::Display| Status::unknown(error.to_string());
    let config = node.state().config.clone();
    let config = config.ok_or_else(|| Status::unknown("no configuration"))?;
    let signer = config
        .talos_ca
        .signer()
        .ok_or_else(|| Status::unknown("error creating secrets bundle from config: no CA key"))?;
    let [role] = request.roles.as_slice() else {
        return Err(Status::unimplemented(
            "the mock issues certificates with one role",
        ));
    };
    let (certificate, key) = signer.talos_client(role).map_err(|error| failed(&error))?;
    let cluster = &config.cluster_name;
    let context = format!("{}@{cluster}", role.trim_start_matches("os:"));
    let ca = &config.talos_ca.certificate;
    let talosconfig = format!(
        "context: {context}\ncontexts:\n    {context}:\n        endpoints: []\n        ca: {}\n        crt: {}\n        key: {}\n",
        STANDARD.encode(ca),
        STANDARD.encode(&certificate),
        STANDARD.encode(key.expose_secret()),
    );
    Ok(pb::GenerateClientConfiguration {
        metadata: None,
        ca: ca.clone().into_bytes(),
        crt: certificate.into_bytes(),
        key: key.expose_secret().as_bytes().to_vec(),
        talosconfig: talosconfig.into_bytes(),
    })
}
