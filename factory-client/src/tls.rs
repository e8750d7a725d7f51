//! The TLS configuration of a client: always explicit, never a process-wide default.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::builder::TlsTrust;
use crate::error::{Error, ErrorKind, Result};

/// `is_required` says whether the base URL uses TLS. Plain http may still be redirected to https, but a system
/// without a certificate store must not keep an own factory on http from working.
pub(crate) fn client_config(trust: &TlsTrust, is_required: bool) -> Result<ClientConfig> {
    let refused =
        |message: String| Error::new(ErrorKind::Configuration, "set up TLS").with_message(message);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?;
    let roots = match trust {
        TlsTrust::PublicRoots => match Verifier::new(provider) {
            Ok(verifier) => {
                return Ok(builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
                    .with_no_client_auth());
            }
            Err(error) if is_required => {
                return Err(refused(format!("no certificate store: {error}")));
            }
            Err(_) => RootCertStore::empty(),
        },
        TlsTrust::Authority(certificate) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(certificate.clone())
                .map_err(|error| refused(format!("certificate authority: {error}")))?;
            roots
        }
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
