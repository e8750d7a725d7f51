//! The status codes of gRPC.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status code with which a node answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 0
    Ok,
    /// 1
    Cancelled,
    /// 2, also every plain error of a handler
    Unknown,
    /// 3
    InvalidArgument,
    /// 4
    DeadlineExceeded,
    /// 5
    NotFound,
    /// 6
    AlreadyExists,
    /// 7
    PermissionDenied,
    /// 8
    ResourceExhausted,
    /// 9
    FailedPrecondition,
    /// 10
    Aborted,
    /// 11
    OutOfRange,
    /// 12
    Unimplemented,
    /// 13
    Internal,
    /// 14
    Unavailable,
    /// 15
    DataLoss,
    /// 16
    Unauthenticated,
}

const ALL: [Code; 17] = [
    Code::Ok,
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

impl Code {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The code of a number; what gRPC does not define is [`Code::Unknown`].
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|index| ALL.get(index).copied())
            .unwrap_or(Self::Unknown)
    }

    #[cfg(feature = "mock")]
    pub(crate) fn tonic(self) -> tonic::Code {
        tonic::Code::from_i32(self.number())
    }
}

impl fmt::Display for Code {
    /// The name as gRPC's tools print it, for example `FailedPrecondition`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_grpc() {
        for code in ALL {
            assert_eq!(Code::from_number(code.number()), code);
            let tonic = format!("{:?}", tonic::Code::from_i32(code.number()));
            assert_eq!(tonic, code.to_string());
        }
        assert_eq!(Code::from_number(99), Code::Unknown);
    }
}
