//! Times and durations of protobuf.

use jiff::Timestamp;

/// A time of the wire; `None` when it is missing or out of range.
pub(crate) fn timestamp(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}
