#![doc = include_str!("../README.md")]

pub mod config;
mod error;
pub mod secrets;
pub mod talosconfig;
pub mod yaml;

pub use error::{Error, ErrorKind, Result};
