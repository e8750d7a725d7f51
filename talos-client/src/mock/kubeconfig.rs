//! The kubeconfig of a mock node, as an archive without an end.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use secrecy::ExposeSecret;
use tonic::Status;

use super::document::NodeConfig;

/// Mints a client certificate and packs the kubeconfig.
pub(super) fn archive(config: &NodeConfig) -> Result<Vec<u8>, Status> {
    let text = text(config)?;
    pack(text.as_bytes()).map_err(|error| Status::unknown(error.to_string()))
}

fn text(config: &NodeConfig) -> Result<String, Status> {
    let authority = config
        .kubernetes_ca
        .as_ref()
        .ok_or_else(|| Status::unknown("the configuration has no Kubernetes CA"))?;
    let signer = authority
        .signer()
        .ok_or_else(|| Status::unknown("the Kubernetes CA cannot sign"))?;
    let (certificate, key) = signer
        .kubernetes_admin(config.kubeconfig_lifetime)
        .map_err(|error| Status::unknown(error.to_string()))?;

    let cluster = &config.cluster_name;
    Ok(format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {cluster}\n\
         \x20 cluster:\n\
         \x20   server: {server}\n\
         \x20   certificate-authority-data: {ca}\n\
         users:\n\
         - name: admin@{cluster}\n\
         \x20 user:\n\
         \x20   client-certificate-data: {certificate}\n\
         \x20   client-key-data: {key}\n\
         contexts:\n\
         - context:\n\
         \x20   cluster: {cluster}\n\
         \x20   namespace: default\n\
         \x20   user: admin@{cluster}\n\
         \x20 name: admin@{cluster}\n\
         current-context: admin@{cluster}\n",
        server = config.cluster_endpoint,
        ca = STANDARD.encode(&authority.certificate),
        certificate = STANDARD.encode(certificate),
        key = STANDARD.encode(key.expose_secret()),
    ))
}

/// Neither padding nor end blocks: Talos never closes its tar writer.
fn pack(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_path("kubeconfig")?;
    header.set_mode(0o600);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(header.as_bytes())?;
    encoder.write_all(content)?;
    encoder.finish()
}
