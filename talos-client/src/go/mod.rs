//! What imitates Go: its YAML, base64, URL, address and glob packages and its formatted text, as far as the reference tools show their behaviour.

pub(crate) mod address;
pub(crate) mod base64;
pub(crate) mod glob;
pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod url;
pub mod yaml;
