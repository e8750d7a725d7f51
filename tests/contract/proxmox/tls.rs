//! Whom the client trusts.

use proxmox_client::mock::{PveMock, Route};
use proxmox_client::{Client, ErrorKind, Fingerprint, TlsTrust};

use super::quick;

async fn mock() -> PveMock {
    PveMock::builder().tls().start().await
}

fn client(mock: &PveMock, trust: TlsTrust) -> Client {
    Client::builder(mock.endpoint(), mock.credentials())
        .trust(trust)
        .retry(quick())
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_pinned_certificate_is_accepted() {
    let mock = mock().await;
    let pin = TlsTrust::Pinned(mock.fingerprint().unwrap());

    assert_eq!(client(&mock, pin).version().await.unwrap().major, 9);
}

#[tokio::test]
async fn another_certificate_is_refused_with_both_fingerprints_and_not_tried_again() {
    let mock = mock().await;
    let wrong: Fingerprint = "AB".repeat(32).parse().unwrap();

    let error = client(&mock, TlsTrust::Pinned(wrong))
        .version()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert!(!error.is_retryable());
    let mismatch = error.pin_mismatch().unwrap();
    assert_eq!(mismatch.expected, wrong);
    assert_eq!(mismatch.presented, mock.fingerprint().unwrap());
    for fingerprint in [wrong, mock.fingerprint().unwrap()] {
        assert!(
            error.to_string().contains(&fingerprint.to_string()),
            "{error}"
        );
    }
    mock.assert_called(Route::Version, 0);
}

#[tokio::test]
async fn a_known_authority_is_trusted_for_its_names_only() {
    let mock = mock().await;
    let authority = TlsTrust::authority(mock.certificate().unwrap());

    assert!(client(&mock, authority).version().await.is_ok());
}

#[tokio::test]
async fn a_stranger_is_refused_by_public_roots_and_by_another_authority() {
    let (mock, other) = (mock().await, mock().await);
    let stranger = TlsTrust::authority(other.certificate().unwrap());

    for trust in [TlsTrust::SystemRoots, stranger] {
        let error = client(&mock, trust).version().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Certificate, "{error:?}");
        assert!(error.pin_mismatch().is_none());
    }
}
