//! The generations of the YAML encoder that factories have used.

use std::fmt;

/// A generation of the encoder that turns a schematic into the bytes which are hashed.
///
/// All of them agree on every practical schematic. They differ for strings such as `off`, `12:30`, `<<` and for
/// blocks that start with a line break; [`Schematic::local_id`](super::Schematic::local_id) is `None` for those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encoder {
    /// go-yaml v3.0.1: factory v0.1.0 to v0.8.4, Talos 1.10 and 1.11.
    V3,
    /// go-yaml v4.0.0-rc.3: factory v0.9.0 to v1.0.3, Talos 1.12.
    V4Rc3,
    /// go-yaml v4.0.0-rc.4: factory v1.1.0 to v1.4.0 (the public service of August 2026), Talos 1.13.
    #[default]
    V4Rc4,
    /// go-yaml v4.0.0-rc.6: factory builds between v1.4.0 and v1.5.0, Talos 1.14.0-rc.1.
    V4Rc6,
}

impl Encoder {
    /// Every generation, oldest first.
    pub const ALL: [Self; 4] = [Self::V3, Self::V4Rc3, Self::V4Rc4, Self::V4Rc6];
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3 => "yaml.v3-3.0.1",
            Self::V4Rc3 => "yaml-v4.0.0-rc.3",
            Self::V4Rc4 => "yaml-v4.0.0-rc.4",
            Self::V4Rc6 => "yaml-v4.0.0-rc.6",
        })
    }
}
