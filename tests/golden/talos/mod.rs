//! The reference answers of the Talos configuration tools.

mod generate;
mod generate_rules;
mod patch;
mod secrets;
mod talosconfig;
mod validate;
