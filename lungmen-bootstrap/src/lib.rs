#![doc = include_str!("../README.md")]

pub mod kubernetes;
#[cfg(feature = "mock")]
pub mod mock;
pub mod openbao;
pub mod service;
