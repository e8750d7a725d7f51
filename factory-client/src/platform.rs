//! Platforms and architectures that Talos runs on.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Arch {
    /// `amd64`.
    #[default]
    Amd64,
    /// `arm64`.
    Arm64,
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

impl FromStr for Arch {
    type Err = Error;

    /// Reads the names of the factory, and the two that iPXE has for amd64.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for any other name.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "amd64" | "x86_64" | "i386" => Ok(Self::Amd64),
            "arm64" => Ok(Self::Arm64),
            _ => Err(unknown(
                "parse architecture",
                text,
                "is neither amd64 nor arm64",
            )),
        }
    }
}

macro_rules! platforms {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// A platform that Talos supports. On Proxmox VE it is [`Nocloud`](Self::Nocloud).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Platform {
            $(
                #[doc = concat!("`", $name, "`.")]
                $variant,
            )+
        }

        impl Platform {
            /// Every platform of Talos 1.14.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in paths.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

platforms! {
    Akamai = "akamai",
    Alibabacloud = "alibabacloud",
    Aws = "aws",
    Azure = "azure",
    Cloudstack = "cloudstack",
    DigitalOcean = "digital-ocean",
    EquinixMetal = "equinixMetal",
    Exoscale = "exoscale",
    Gcp = "gcp",
    Hcloud = "hcloud",
    Metal = "metal",
    Nocloud = "nocloud",
    Opennebula = "opennebula",
    Openstack = "openstack",
    Oracle = "oracle",
    Scaleway = "scaleway",
    Upcloud = "upcloud",
    Vmware = "vmware",
    Vultr = "vultr",
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads a platform name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an unknown one: the factory would accept the path and fail the build.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .find(|platform| platform.as_str() == text)
            .copied()
            .ok_or_else(|| unknown("parse platform", text, "is not a platform of Talos"))
    }
}

fn unknown(operation: &'static str, text: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, operation)
        .with_target(text)
        .with_message(format!("{text:?} {why}"))
}
