//! The reference answers of the schematic encoder: executed results of the encoders that factories have used.

mod property;
mod scalars;
mod vectors;

use factory_client::schematic::Encoder;

/// The encoder that the data names.
fn encoder(name: &str) -> Encoder {
    Encoder::ALL
        .into_iter()
        .find(|encoder| encoder.to_string() == name)
        .unwrap_or_else(|| panic!("unknown encoder {name}"))
}
