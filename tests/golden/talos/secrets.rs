//! The secrets bundle: its file, its certificates, and what is said about broken ones.

use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use talos_client::ErrorKind;
use talos_client::config::{MachineConfig, VersionContract};
use talos_client::secrets::{CertificateAndKey, Role, SecretsBundle};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

const SECRETS: &str = include_str!("../../data/talos/secrets.yaml");
const CONTROL_PLANE: &str =
    include_str!("../../data/talos/generate/default.v1.10.7.v1.10.controlplane.yaml");
const CONTROL_PLANE_V1_14: &str =
    include_str!("../../data/talos/generate/default.v1.14.0-rc.1.v1.14.controlplane.yaml");
const WORKER: &str = include_str!("../../data/talos/generate/default.v1.10.7.v1.10.worker.yaml");

fn extracted(config: &str) -> SecretsBundle {
    SecretsBundle::from_controlplane_config(&MachineConfig::parse(config).unwrap()).unwrap()
}

#[test]
fn the_file_is_written_byte_for_byte_as_it_was_read() {
    let bundle = SecretsBundle::parse(SECRETS).unwrap();

    assert!(bundle.to_yaml().expose_secret() == SECRETS);
}

#[test]
fn a_control_plane_configuration_gives_back_the_bundle() {
    for config in [CONTROL_PLANE, CONTROL_PLANE_V1_14] {
        let bundle = extracted(config);

        bundle.validate().unwrap();
        assert!(bundle.to_yaml().expose_secret() == SECRETS);
    }
}

#[test]
fn a_worker_configuration_is_refused_with_what_it_lacks() {
    let config = MachineConfig::parse(WORKER).unwrap();

    let error = SecretsBundle::from_controlplane_config(&config).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidDocument);
    assert_eq!(
        error.message(),
        "the configuration lacks machine.ca.key, cluster.ca.key, cluster.aggregatorCA, cluster.etcd.ca, \
         cluster.serviceAccount"
    );
}

#[test]
fn what_is_missing_is_listed_with_the_texts_of_the_reference() {
    let error =
        SecretsBundle::parse("cluster: {}\nsecrets: {}\ntrustdinfo: {}\ncerts: {etcd: {}}\n")
            .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(
        error.message(),
        "failed to validate secrets bundle: 10 errors occurred:\n\
         \t* cluster.id is required\n\
         \t* cluster.secret is required\n\
         \t* secrets.bootstraptoken is required\n\
         \t* one of [secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret] is required\n\
         \t* trustdinfo.token is required\n\
         \t* certs.etcd is invalid: failed to parse PEM block\n\
         \t* certs.k8s is required\n\
         \t* certs.k8saggregator is required\n\
         \t* certs.os is required\n\
         \t* certs.k8sserviceaccount is required\n\n"
    );
    assert_eq!(
        SecretsBundle::parse("{}").unwrap_err().message(),
        "failed to validate secrets bundle: 4 errors occurred:\n\
         \t* cluster is required\n\t* secrets is required\n\t* trustdinfo is required\n\t* certs is required\n\n"
    );
}

#[test]
fn a_document_that_cannot_be_read_is_refused_without_its_values() {
    for (text, message) in [
        ("", "failed to load secrets bundle: EOF"),
        (
            "certs: {os: {crt: 'canary!', key: ''}}",
            "failed to load secrets bundle: illegal base64 data at input byte 6",
        ),
    ] {
        assert_eq!(SecretsBundle::parse(text).unwrap_err().message(), message);
    }
    for text in [
        "canary",
        "[canary]",
        "cluster: canary",
        "cluster: {id: [canary]}",
        "certs: {os: [canary]}",
        "a: {canary",
    ] {
        let error = SecretsBundle::parse(text).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("failed to load secrets bundle: "),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn both_encryption_secrets_at_once_are_refused() {
    let both = SECRETS.replace(
        "    secretbox",
        "    aescbcencryptionsecret: x\n    secretbox",
    );

    assert_eq!(
        SecretsBundle::parse(&both).unwrap_err().message(),
        "failed to validate secrets bundle: 1 error occurred:\n\
         \t* only one of [secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret] is allowed\n\n"
    );
}

#[test]
fn a_redacted_key_is_read_but_not_valid() {
    let (before, after) = SECRETS.split_once("    k8s:\n").unwrap();
    let (certificate, rest) = after.split_once("        key: ").unwrap();
    let tail = rest.split_once('\n').unwrap().1;
    let redacted = format!("{before}    k8s:\n{certificate}        key: '******'\n{tail}");

    assert_eq!(
        SecretsBundle::parse(&redacted).unwrap_err().message(),
        "failed to validate secrets bundle: 1 error occurred:\n\
         \t* certs.k8s is invalid: failed to parse PEM block\n\n"
    );
}

/// The fields of a certificate that Talos fixes.
#[derive(Debug, PartialEq, Eq)]
struct Fields {
    issuer: String,
    subject: String,
    signature: String,
    hours: i64,
    /// OID, criticality, and content where it does not depend on a key.
    extensions: Vec<(String, bool, String)>,
}

fn fields(pem: &str) -> Fields {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&block.contents).unwrap();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let seconds = certificate.validity().not_after.timestamp()
        - certificate.validity().not_before.timestamp();
    let extensions = certificate.extensions().iter().map(|extension| {
        let identifies_a_key = matches!(
            extension.parsed_extension(),
            ParsedExtension::SubjectKeyIdentifier(_) | ParsedExtension::AuthorityKeyIdentifier(_)
        );
        let content = if identifies_a_key {
            extension.value.len().to_string()
        } else {
            hex(extension.value)
        };
        (extension.oid.to_id_string(), extension.critical, content)
    });
    Fields {
        issuer: hex(certificate.issuer().as_raw()),
        subject: hex(certificate.subject().as_raw()),
        signature: certificate.signature_algorithm.algorithm.to_id_string(),
        hours: seconds / 3600,
        extensions: extensions.collect(),
    }
}

fn authorities(bundle: &SecretsBundle) -> [&CertificateAndKey; 4] {
    [
        bundle.etcd_ca(),
        bundle.kubernetes_ca(),
        bundle.aggregator_ca(),
        bundle.os_ca(),
    ]
    .map(Option::unwrap)
}

#[test]
fn generated_authorities_have_the_fields_of_the_reference() {
    let reference = SecretsBundle::parse(SECRETS).unwrap();
    let generated = SecretsBundle::generate_blocking(VersionContract::new(1, 6)).unwrap();

    for (ours, reference) in authorities(&generated)
        .into_iter()
        .zip(authorities(&reference))
    {
        assert_eq!(
            fields(ours.certificate_pem()),
            fields(reference.certificate_pem())
        );
        let label = |pair: &CertificateAndKey| {
            pair.key_pem()
                .expose_secret()
                .lines()
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(label(ours), label(reference));
        assert_eq!(
            ours.key_pem().expose_secret().len(),
            reference.key_pem().expose_secret().len()
        );
    }
}

#[test]
fn all_authorities_of_a_bundle_start_at_the_same_second_and_verify_themselves() {
    let start = "2026-11-22T12:00:00Z".parse().unwrap();
    let builder = SecretsBundle::builder(VersionContract::new(1, 6)).not_before(start);
    let bundle = builder.generate_blocking().unwrap();

    assert_eq!(bundle.created_at().unwrap(), start);
    for authority in authorities(&bundle) {
        let (_, block) =
            x509_parser::pem::parse_x509_pem(authority.certificate_pem().as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&block.contents).unwrap();
        assert_eq!(
            certificate.validity().not_before.timestamp(),
            start.as_second()
        );
        assert!(certificate.is_ca());
    }
}

#[test]
fn the_default_service_account_key_is_rsa_4096_in_pkcs1() {
    let bundle = SecretsBundle::generate_blocking(VersionContract::V1_10).unwrap();

    let key = bundle.service_account_key().unwrap().expose_secret();
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----\nMIIJ"));
    assert!((3200..3300).contains(&key.len()), "{}", key.len());
    bundle.validate().unwrap();
    SecretsBundle::parse(bundle.to_yaml().expose_secret()).unwrap();
}

#[test]
fn several_roles_are_one_relative_name() {
    let bundle = SecretsBundle::parse(SECRETS).unwrap();

    let issued = bundle
        .client_certificate(Role::Admin)
        .role(Role::Operator)
        .issue()
        .unwrap();

    let subject = fields(issued.certificate_pem()).subject;
    // SEQUENCE, one SET, two attributes of organizationName.
    assert_eq!(&subject[4..6], "31");
    assert_eq!(subject.matches("060355040a").count(), 2);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = SecretsBundle::parse(&text);
    }

    #[test]
    fn no_change_of_a_bundle_makes_the_parser_panic(at in 0..SECRETS.len(), length in 0_usize..40, text in "[ -~\n]{0,12}") {
        let end = (at + length).min(SECRETS.len());
        let changed = format!("{}{text}{}", &SECRETS[..at], &SECRETS[end..]);
        if let Ok(bundle) = SecretsBundle::parse(&changed) {
            let written = bundle.to_yaml();
            let again = SecretsBundle::parse(written.expose_secret()).unwrap();
            prop_assert!(again.to_yaml().expose_secret() == written.expose_secret());
        }
    }
}
