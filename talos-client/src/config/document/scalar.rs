//! Reading single scalars by the type of the field.

use super::value::{Argument, Size, Value};
use crate::config::schema::{
    Codec, Int, Minor, UrlParts, canonical_address, canonical_hardware_address, check_byte_size,
    check_disk_size_matcher, check_percentage, parse_disk_size, parse_duration,
};
use crate::go::base64;
use crate::go::yaml::{Scalar, Value as Resolved};

/// In which details the releases differ.
#[derive(Clone, Copy)]
pub(super) struct Habits {
    /// Sizes may be negative.
    pub(super) negative_sizes: bool,
    /// A float with a fraction is no integer.
    pub(super) whole_floats: bool,
    /// The number 0 is a duration.
    pub(super) zero_duration: bool,
    /// A float without a fraction is a duration of nanoseconds.
    pub(super) float_duration: bool,
    /// The release.
    pub(super) minor: Minor,
}

impl Habits {
    pub(super) fn of(minor: Minor) -> Self {
        let since_v1_13 = minor >= Minor::V1_13;
        Self {
            negative_sizes: since_v1_13,
            whole_floats: since_v1_13,
            zero_duration: since_v1_13,
            float_duration: minor >= Minor::V1_14,
            minor,
        }
    }
}

/// Why a scalar does not fit.
pub(super) enum Misfit {
    /// Its type is not the one of the field.
    Type,
    /// It has the right type, but the type refuses it.
    Refused(String),
}

/// What an integer field makes of a scalar; fractions are cut off unless only whole numbers are taken.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "checked to be in range, and Go cuts off fractions too"
)]
pub(super) fn integer(scalar: &Scalar, int: Int, habits: Habits) -> Option<i128> {
    let value = match scalar.value() {
        Resolved::Int(value) => i128::from(value),
        Resolved::Uint(value) => i128::from(value),
        Resolved::Float(value) if habits.whole_floats && value.fract() != 0.0 => return None,
        Resolved::Float(value) if value.abs() < i64::MAX as f64 => value.trunc() as i128,
        _ => return None,
    };
    let range = if int.signed {
        -(1_i128 << (int.bits - 1))..(1_i128 << (int.bits - 1))
    } else {
        0..(1_i128 << int.bits)
    };
    range.contains(&value).then_some(value)
}

/// What a type with a form of its own makes of a scalar.
pub(super) fn read(codec: Codec, scalar: &Scalar, habits: Habits) -> Result<Value, Misfit> {
    let text = scalar.text();
    let kept = |checked: Result<(), String>| match checked {
        Ok(()) => Ok(Value::Text(Some(text.to_owned()))),
        Err(refusal) => Err(Misfit::Refused(refusal)),
    };
    let canonical = |checked: Result<String, String>| match checked {
        Ok(text) => Ok(Value::Text(Some(text))),
        Err(refusal) => Err(Misfit::Refused(refusal)),
    };
    match codec {
        Codec::Duration => duration(scalar, habits),
        Codec::ByteSize if text.is_empty() => Ok(Value::Text(None)),
        Codec::ByteSize => kept(check_byte_size(text, habits.negative_sizes)),
        Codec::Size => size(text, habits.negative_sizes).map_err(Misfit::Refused),
        Codec::Expression if text.is_empty() => Ok(Value::Text(None)),
        Codec::Expression => Ok(Value::Text(Some(text.to_owned()))),
        Codec::Address(_) if text.is_empty() => Ok(Value::Text(None)),
        Codec::Address(kind) => canonical(canonical_address(text, kind)),
        Codec::HardwareAddress if text.is_empty() => Ok(Value::Text(None)),
        Codec::HardwareAddress => canonical(canonical_hardware_address(text)),
        Codec::Enumeration(values) => values
            .parse(text, habits.minor)
            .map(|number| Value::Int(number.into()))
            .map_err(Misfit::Refused),
        Codec::Url => UrlParts::parse(text)
            .map(|url| Value::Url(Some(Box::new(url))))
            .map_err(Misfit::Refused),
        Codec::PortRange => ports(scalar, habits).map_err(Misfit::Refused),
        Codec::DiskSize => parse_disk_size(text)
            .map(|bytes| Value::Int(bytes.into()))
            .map_err(Misfit::Refused),
        Codec::FileMode => integer(
            scalar,
            Int {
                bits: 32,
                signed: false,
            },
            habits,
        )
        .map(Value::Int)
        .ok_or(Misfit::Type),
        Codec::DiskSizeMatcher => canonical(check_disk_size_matcher(text)),
        Codec::Base64 => canonical(base64(text)),
        Codec::Argument => Ok(Value::Argument(Argument::One(text.to_owned()))),
    }
}

fn duration(scalar: &Scalar, habits: Habits) -> Result<Value, Misfit> {
    match scalar.value() {
        Resolved::Int(0) if habits.zero_duration => Ok(Value::Int(0)),
        Resolved::Float(_) if habits.float_duration => {
            let nanoseconds = Int {
                bits: 64,
                signed: true,
            };
            integer(scalar, nanoseconds, habits)
                .map(Value::Int)
                .ok_or(Misfit::Type)
        }
        Resolved::String(text) => parse_duration(&text)
            .map(|value| Value::Int(value.into()))
            .ok_or(Misfit::Type),
        _ => Err(Misfit::Type),
    }
}

fn size(text: &str, negative: bool) -> Result<Value, String> {
    let (mut bytes, mut percentage) = (None, None);
    if text.contains('%') {
        check_percentage(text, negative)?;
        percentage = Some(text.to_owned());
    } else if !text.is_empty() {
        check_byte_size(text, negative)?;
        bytes = Some(text.to_owned());
    }
    Ok(Value::Size(Box::new(Size { bytes, percentage })))
}

fn ports(scalar: &Scalar, habits: Habits) -> Result<Value, String> {
    if let Some(port) = integer(
        scalar,
        Int {
            bits: 16,
            signed: false,
        },
        habits,
    )
    .and_then(|port| u16::try_from(port).ok())
    {
        return Ok(Value::Ports(port, port));
    }
    let number = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let range = scalar
        .text()
        .split_once('-')
        .and_then(|(low, high)| Some((number(low)?, number(high)?)));
    match range {
        Some((low, high)) => Ok(Value::Ports(low, high)),
        None => Err(format!("invalid port range: {:?}", scalar.text())),
    }
}

/// Reads base64 as Go does and returns it canonical.
pub(super) fn base64(text: &str) -> Result<String, String> {
    base64::decode(text).map(|bytes| base64::encode(&*bytes))
}
