//! The reference answers of the Talos configuration tools.

mod cli;
mod cli_files;
mod digest;
mod generate;
mod generate_options;
mod generate_rules;
mod patch;
mod patch_traps;
mod real;
mod secrets;
mod secrets_cases;
mod secrets_input;
mod talosconfig;
mod validate;
mod validate_hostile;
mod validate_input;
mod yaml;
