//! Whom we believe to be the Argo CD server.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{Error, Result};

/// Which certificates of the Argo CD server are accepted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum TlsTrust {
    /// The certificate authorities of the operating system.
    #[default]
    PublicRoots,
    /// Only these authorities. A self-signed server certificate may be given itself.
    Authorities(Vec<CertificateDer<'static>>),
}

impl TlsTrust {
    /// Trusts the certificates of a PEM text, and nothing else.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) when there is no certificate in it.
    pub fn from_pem(pem: &str) -> Result<Self> {
        Ok(Self::Authorities(
            certificates(pem).map_err(Error::configuration)?,
        ))
    }

    pub(crate) fn client_config(&self, encrypted: bool) -> Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::configuration("no common TLS version").with_source(error))?;
        let config = match self {
            // A plain connection must not fail on a system without any root certificate.
            _ if !encrypted => builder.with_root_certificates(RootCertStore::empty()),
            Self::PublicRoots => builder.with_platform_verifier().map_err(|error| {
                Error::configuration("the system's certificate authorities cannot be read")
                    .with_source(error)
            })?,
            Self::Authorities(authorities) => builder.with_root_certificates(roots(authorities)?),
        };
        // No ALPN: behind HTTP/2 the server pod answers gRPC only, never REST.
        Ok(config.with_no_client_auth())
    }
}

/// The certificates of a PEM text, or why there are none.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("not a PEM certificate: {error}"))?;
    if certificates.is_empty() {
        return Err("no PEM certificate found".to_owned());
    }
    Ok(certificates)
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| {
            Error::configuration("a trusted authority is not an X.509 certificate")
                .with_source(error)
        })?;
    }
    if roots.is_empty() {
        return Err(Error::configuration(
            "the list of trusted authorities is empty",
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_a_certificate_is_refused() {
        for pem in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n",
        ] {
            assert!(TlsTrust::from_pem(pem).is_err(), "{pem}");
        }
    }

    #[test]
    fn the_configuration_offers_no_http2() {
        let config = TlsTrust::default().client_config(false).unwrap();

        assert!(config.alpn_protocols.is_empty());
    }

    #[test]
    fn a_self_signed_server_certificate_can_be_its_own_authority() {
        // What an installation without a configured certificate presents.
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters =
            rcgen::CertificateParams::new(vec!["argocd-server".to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::ExplicitNoCa;
        let certificate = parameters.self_signed(&key).unwrap();
        let trust = TlsTrust::from_pem(&certificate.pem()).unwrap();
        let TlsTrust::Authorities(authorities) = &trust else {
            panic!("{trust:?}")
        };
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots(authorities).unwrap()),
            Arc::new(aws_lc_rs::default_provider()),
        )
        .build()
        .unwrap();
        let name = rustls_pki_types::ServerName::try_from("argocd-server").unwrap();

        let verified = rustls::client::danger::ServerCertVerifier::verify_server_cert(
            &*verifier,
            certificate.der(),
            &[],
            &name,
            &[],
            rustls_pki_types::UnixTime::now(),
        );

        assert!(verified.is_ok(), "{verified:?}");
    }
}
