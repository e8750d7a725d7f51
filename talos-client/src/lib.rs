#![doc = include_str!("../README.md")]

pub mod config;
mod error;
pub mod yaml;

pub use error::{Error, ErrorKind, Result};
