//! The unit tests of the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    missing_docs,
    reason = "a part of the program, without its uses"
)]

mod progress {
    pub(crate) mod board;
    pub(crate) mod text;
}

mod report {
    mod timeline;
}

mod shell;
