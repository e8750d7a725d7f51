//! Text that the documentation of many calls shares.

/// The kinds of a read, after those that the call has of its own.
macro_rules! read_errors {
    ($($own:literal)?) => {
        concat!(
            $($own, "; ",)?
            "`Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Forbidden`, `Server`, `Decode`."
        )
    };
}

/// The kinds of a change, after those that the call has of its own.
macro_rules! write_errors {
    ($($own:literal)?) => {
        concat!(
            $($own, "; ",)?
            "`Rejected` with the parameters, `Forbidden` with path and privilege, `Busy` for a lock or a missing quorum, ",
            "`Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`."
        )
    };
}

pub(crate) use {read_errors, write_errors};
