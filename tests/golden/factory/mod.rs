//! The reference answers of the schematic encoder.
