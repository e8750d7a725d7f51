//! Writes an X.509 certificate field by field.
//!
//! Certificate builders of TLS libraries choose the order of extensions and allow one value per name attribute; Talos
//! certificates have Go's order and, with several roles, several organizations in one relative name.

use jiff::Timestamp;
use time::OffsetDateTime;
use yasna::models::{GeneralizedTime, ObjectIdentifier, UTCTime};
use yasna::{DERWriter, Tag};

use super::key::{KeyOperationFailed, PrivateKey};

/// The organization attribute of a name.
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];
/// First second that is written as GeneralizedTime: 2050-01-01T00:00:00Z.
const END_OF_UTC_TIME: i64 = 2_524_608_000;

/// What is signed, apart from the signature algorithm.
pub(super) struct Template<'a> {
    pub(super) serial: [u8; 16],
    /// The issuer's name in DER.
    pub(super) issuer: &'a [u8],
    /// The subject's name in DER.
    pub(super) subject: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// The subject's SubjectPublicKeyInfo in DER.
    pub(super) public_key: &'a [u8],
    /// In the order they are written.
    pub(super) extensions: &'a [Extension],
}

/// An extension with its content in DER.
pub(super) struct Extension {
    oid: &'static [u64],
    critical: bool,
    content: Vec<u8>,
}

impl Extension {
    pub(super) fn new(oid: &'static [u64], content: &[u8]) -> Self {
        Self {
            oid,
            critical: false,
            content: content.to_vec(),
        }
    }

    pub(super) fn critical(oid: &'static [u64], content: &[u8]) -> Self {
        Self {
            critical: true,
            ..Self::new(oid, content)
        }
    }

    fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|writer| {
            writer
                .next()
                .write_oid(&ObjectIdentifier::from_slice(self.oid));
            if self.critical {
                writer.next().write_bool(true);
            }
            writer.next().write_bytes(&self.content);
        });
    }
}

/// A name that has only organizations, all in one relative name; without any it is empty.
pub(super) fn name(organizations: &[&str]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            if organizations.is_empty() {
                return;
            }
            writer.next().write_set_of(|writer| {
                for organization in organizations {
                    writer.next().write_sequence(|writer| {
                        writer
                            .next()
                            .write_oid(&ObjectIdentifier::from_slice(ORGANIZATION));
                        writer.next().write_printable_string(organization);
                    });
                }
            });
        });
    })
}

/// The certificate in DER, signed by the issuer's key.
pub(super) fn sign(
    template: &Template<'_>,
    issuer: &PrivateKey,
) -> Result<Vec<u8>, KeyOperationFailed> {
    let not_before = date(template.not_before)?;
    let not_after = date(template.not_after)?;
    let body = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer
                .next()
                .write_tagged(Tag::context(0), |writer| writer.write_u8(2));
            writer.next().write_bigint_bytes(&template.serial, true);
            writer.next().write_der(issuer.signature_algorithm());
            writer.next().write_der(template.issuer);
            writer.next().write_sequence(|writer| {
                write_date(writer.next(), not_before);
                write_date(writer.next(), not_after);
            });
            writer.next().write_der(template.subject);
            writer.next().write_der(template.public_key);
            writer.next().write_tagged(Tag::context(3), |writer| {
                writer.write_sequence(|writer| {
                    for extension in template.extensions {
                        extension.write(writer.next());
                    }
                });
            });
        });
    });
    let signature = issuer.sign(&body)?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(&body);
            writer.next().write_der(issuer.signature_algorithm());
            writer
                .next()
                .write_bitvec_bytes(&signature, signature.len() * 8);
        });
    }))
}

fn date(timestamp: Timestamp) -> Result<OffsetDateTime, KeyOperationFailed> {
    OffsetDateTime::from_unix_timestamp(timestamp.as_second()).map_err(|_| KeyOperationFailed)
}

fn write_date(writer: DERWriter<'_>, date: OffsetDateTime) {
    match UTCTime::from_datetime_opt(date) {
        Some(utc) if date.unix_timestamp() < END_OF_UTC_TIME => writer.write_utctime(&utc),
        _ => writer.write_generalized_time(&GeneralizedTime::from_datetime(date)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_is_an_empty_sequence() {
        assert_eq!(name(&[]), [0x30, 0x00]);
    }

    #[test]
    fn several_organizations_share_one_relative_name_in_der_order() {
        let der = name(&["os:reader", "os:admin"]);

        // SEQUENCE > one SET > the shorter attribute first, as DER sorts sets.
        assert_eq!(der[0], 0x30);
        assert_eq!(der[2], 0x31);
        assert_eq!(usize::from(der[3]), der.len() - 4);
        assert!(
            der.windows(8).position(|w| w == b"os:admin")
                < der.windows(9).position(|w| w == b"os:reader")
        );
    }

    #[test]
    fn dates_from_2050_are_generalized_time() {
        let written = |second| {
            let date = OffsetDateTime::from_unix_timestamp(second).unwrap();
            yasna::construct_der(|writer| write_date(writer, date))[0]
        };

        assert_eq!(written(END_OF_UTC_TIME - 1), 0x17);
        assert_eq!(written(END_OF_UTC_TIME), 0x18);
    }
}
