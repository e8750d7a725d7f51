//! The client configuration: its file and its certificate.

use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use talos_client::secrets::{Role, SecretsBundle};
use talos_client::talosconfig::{Context, Talosconfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const SECRETS: &str = include_str!("../../data/talos/secrets.yaml");
const TALOSCONFIG: &str = include_str!("../../data/talos/talosconfig.yaml");

#[test]
fn the_file_is_written_byte_for_byte_as_it_was_read() {
    let talosconfig = Talosconfig::parse(TALOSCONFIG).unwrap();

    assert!(talosconfig.to_yaml().expose_secret() == TALOSCONFIG);
}

#[test]
fn the_reference_certificate_can_be_inspected() {
    let talosconfig = Talosconfig::parse(TALOSCONFIG).unwrap();

    let certificate = talosconfig
        .current_context()
        .unwrap()
        .client_certificate()
        .unwrap()
        .unwrap();

    assert_eq!(certificate.roles(), ["os:admin"]);
    assert_eq!(certificate.not_after().to_string(), "2027-11-22T08:13:02Z");
}

/// The reference's own certificate with the serial number, dates, key and signature of ours would be ours: compare what remains.
#[test]
fn an_issued_certificate_has_the_layout_of_the_reference() {
    let context = Talosconfig::parse(TALOSCONFIG).unwrap();
    let reference = context
        .current_context()
        .unwrap()
        .client_certificate()
        .unwrap()
        .unwrap();
    let bundle = SecretsBundle::parse(SECRETS).unwrap();
    let ours = bundle
        .client_certificate(Role::Admin)
        .not_before(reference.not_before())
        .derive(reference.not_before())
        .unwrap();

    let der = |pem: &str| {
        x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .unwrap()
            .1
            .contents
    };
    let (ours_der, reference_der) = (
        der(ours.certificate_pem()),
        der(reference.certificate_pem()),
    );
    let (_, ours) = X509Certificate::from_der(&ours_der).unwrap();
    let (_, reference) = X509Certificate::from_der(&reference_der).unwrap();
    assert_eq!(ours.version(), reference.version());
    assert_eq!(ours.signature_algorithm, reference.signature_algorithm);
    assert_eq!(ours.issuer().as_raw(), reference.issuer().as_raw());
    assert_eq!(ours.subject().as_raw(), reference.subject().as_raw());
    assert_eq!(ours.validity(), reference.validity());
    assert_eq!(
        ours.public_key().algorithm,
        reference.public_key().algorithm
    );
    let extensions = |certificate: &X509Certificate<'_>| -> Vec<(String, bool, Vec<u8>)> {
        let extensions = certificate.extensions().iter();
        extensions
            .map(|e| (e.oid.to_id_string(), e.critical, e.value.to_vec()))
            .collect()
    };
    assert_eq!(extensions(&ours), extensions(&reference));
}

#[test]
fn storing_a_derived_certificate_again_changes_nothing() {
    let write = || {
        let bundle = SecretsBundle::parse(SECRETS).unwrap();
        let start = bundle.created_at().unwrap();
        let certificate = bundle
            .client_certificate(Role::Admin)
            .derive(start)
            .unwrap();
        Talosconfig::for_cluster("lungmen.akn", &certificate).to_yaml()
    };

    assert!(write().expose_secret() == write().expose_secret());
}

#[test]
fn a_renewed_certificate_leaves_endpoints_and_nodes_alone() {
    let mut talosconfig = Talosconfig::parse(TALOSCONFIG).unwrap();
    talosconfig.set_endpoints(None, ["10.0.2.10"]).unwrap();
    let bundle = SecretsBundle::parse(SECRETS).unwrap();
    let renewed = bundle
        .client_certificate(Role::Admin)
        .ttl(Duration::from_secs(60))
        .issue()
        .unwrap();

    let context = talosconfig.context_mut("lungmen.akn").unwrap();
    context.set_certificate(&renewed);

    assert_eq!(context.endpoints(), ["10.0.2.10"]);
    assert_eq!(context.not_after().unwrap(), Some(renewed.not_after()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = Talosconfig::parse(&text);
    }

    #[test]
    fn every_name_survives_a_round_trip(names in prop::collection::btree_set("\\PC{1,12}", 1..5), endpoint in "\\PC{0,12}") {
        let mut talosconfig = Talosconfig::new();
        for name in &names {
            let mut context = Context::new();
            context.set_endpoints([&endpoint]);
            talosconfig.add(name.as_str(), context);
        }

        let written = talosconfig.to_yaml();
        let read = Talosconfig::parse(written.expose_secret()).unwrap();

        prop_assert!(read.to_yaml().expose_secret() == written.expose_secret());
        prop_assert_eq!(read.contexts().count(), names.len());
        for (name, context) in read.contexts() {
            prop_assert!(names.contains(name));
            prop_assert_eq!(&context.endpoints()[0], endpoint.trim());
        }
    }
}
