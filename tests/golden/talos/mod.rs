//! The reference answers of the Talos configuration tools.

mod cli;
mod patch;
mod patch_traps;
mod validate;
mod yaml;
