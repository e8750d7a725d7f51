//! Why Go cannot read a private key: the causes that its ASN.1 reader gives for what is wrong at the outside.

use aws_lc_rs::signature::RsaKeyPair;
use pkcs8::PrivateKeyInfoRef;

/// The structure that a label promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Pkcs1,
    Sec1,
    Pkcs8,
}

impl Form {
    /// The name of Go's type.
    const fn type_name(self) -> &'static str {
        match self {
            Self::Pkcs1 => "pkcs1PrivateKey",
            Self::Sec1 => "ecPrivateKey",
            Self::Pkcs8 => "pkcs8",
        }
    }

    /// Go's function that reads it.
    const fn function(self) -> &'static str {
        match self {
            Self::Pkcs1 => "ParsePKCS1PrivateKey",
            Self::Sec1 => "ParseECPrivateKey",
            Self::Pkcs8 => "ParsePKCS8PrivateKey",
        }
    }

    fn fits(self, der: &[u8]) -> bool {
        match self {
            Self::Pkcs1 => RsaKeyPair::from_der(der).is_ok(),
            Self::Sec1 => super::key::is_sec1(der),
            Self::Pkcs8 => PrivateKeyInfoRef::try_from(der).is_ok(),
        }
    }
}

/// The cause that Go gives when it cannot read `der` as `form`; generic for what is wrong further inside.
pub(super) fn cause(form: Form, der: &[u8]) -> String {
    let others: [Form; 2] = match form {
        Form::Pkcs1 => [Form::Sec1, Form::Pkcs8],
        Form::Sec1 => [Form::Pkcs8, Form::Pkcs1],
        Form::Pkcs8 => [Form::Sec1, Form::Pkcs1],
    };
    if let Some(other) = others.into_iter().find(|other| other.fits(der)) {
        return format!(
            "x509: failed to parse private key (use {} instead for this key format)",
            other.function()
        );
    }
    let problem = outside(form, der).unwrap_or_else(|| "structure error: malformed key".to_owned());
    let head = if form == Form::Sec1 {
        "x509: failed to parse EC private key: "
    } else {
        ""
    };
    format!("{head}asn1: {problem}")
}

/// What is wrong with the tag or the length of the outermost sequence.
fn outside(form: Form, der: &[u8]) -> Option<String> {
    let syntax = |text: &str| Some(format!("syntax error: {text}"));
    let structure = |text: &str| Some(format!("structure error: {text}"));
    let Some((&tag, rest)) = der.split_first() else {
        return syntax("sequence truncated");
    };
    let Some((&first, rest)) = rest.split_first() else {
        return syntax("truncated tag or length");
    };
    let (mut length, mut header) = (usize::from(first), 2);
    if first == 0x80 {
        return syntax("indefinite length found (not DER)");
    }
    if first > 0x80 {
        length = 0;
        for index in 0..usize::from(first & 0x7f) {
            let Some(&byte) = rest.get(index) else {
                return syntax("truncated tag or length");
            };
            if length >= 1 << 23 {
                return structure("length too large");
            }
            length = length << 8 | usize::from(byte);
            header += 1;
            if length == 0 {
                return structure("superfluous leading zeros in length");
            }
        }
        if length < 0x80 {
            return structure("non-minimal length");
        }
    }
    if tag != 0x30 {
        return structure(&format!(
            "tags don't match (16 vs {{class:{} tag:{} length:{length} isCompound:{}}}) {{optional:false explicit:false \
             application:false private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false omitEmpty:false}} \
             {} @{header}",
            tag >> 6,
            tag & 0x1f,
            tag & 0x20 != 0,
            form.type_name(),
        ));
    }
    if der.len() - header < length {
        return syntax("data truncated");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_those_of_go() {
        for (form, der, expected) in [
            (
                Form::Sec1,
                b"\x30\x77\x02\x01\x01\x04\x20".as_slice(),
                "x509: failed to parse EC private key: asn1: syntax error: data truncated",
            ),
            (Form::Pkcs1, b"", "asn1: syntax error: sequence truncated"),
            (
                Form::Pkcs8,
                b"\x04\x01a",
                "asn1: structure error: tags don't match (16 vs {class:0 tag:4 length:1 isCompound:false}) \
                 {optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 \
                 timeType:0 set:false omitEmpty:false} pkcs8 @2",
            ),
            (
                Form::Pkcs8,
                b"\x30\x80",
                "asn1: syntax error: indefinite length found (not DER)",
            ),
        ] {
            assert_eq!(cause(form, der), expected);
        }
    }
}
