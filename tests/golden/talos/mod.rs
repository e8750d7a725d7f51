//! The reference answers of the Talos configuration tools.

mod patch;
