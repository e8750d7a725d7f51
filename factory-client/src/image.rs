//! Names of images: platform and kind, the path at the factory, and the name under which an image is stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;
use crate::installer::Installer;
use crate::platform::{Arch, Platform};
use crate::version::TalosVersion;

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// A bootable ISO.
    Iso,
    /// A disk image.
    Disk(DiskFormat, Compression),
    /// A unified kernel image (`.efi`).
    Uki,
    /// The kernel alone; the same for every platform.
    Kernel,
    /// The initramfs with the extensions; the same for every platform.
    Initramfs,
    /// The kernel command line as text.
    CommandLine,
    /// The installer image as an OCI archive (factory ≥ v0.6.8 for platforms other than metal).
    InstallerArchive,
}

/// The format of a disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DiskFormat {
    /// Plain bytes of the disk.
    Raw,
    /// QEMU's format.
    Qcow2,
    /// Hyper-V's and Azure's format.
    Vhd,
    /// VMware's archive.
    Ova,
}

impl DiskFormat {
    const ALL: [Self; 4] = [Self::Raw, Self::Qcow2, Self::Vhd, Self::Ova];

    const fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Ova => "ova",
        }
    }
}

/// How a disk image is compressed. The factory accepts every format with every compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: a raw image then has more than 1 GiB.
    #[default]
    None,
    /// `gz`.
    Gzip,
    /// `xz`.
    Xz,
    /// `zst` (factory ≥ v0.3.3).
    Zstd,
    /// `tar.gz`.
    TarGzip,
}

impl Compression {
    const ALL: [Self; 5] = [Self::None, Self::TarGzip, Self::Gzip, Self::Xz, Self::Zstd];

    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
            Self::TarGzip => ".tar.gz",
        }
    }
}

/// Which image: platform, architecture, secure boot and kind, without schematic and version.
///
/// ```
/// use factory_client::{ImageRequest, Platform};
///
/// let iso = ImageRequest::iso(Platform::Nocloud).secure_boot();
/// assert_eq!(iso.to_string(), "nocloud-amd64-secureboot.iso");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct ImageRequest {
    platform: Platform,
    arch: Arch,
    secure_boot: bool,
    output: Output,
}

impl ImageRequest {
    /// An image of this platform and kind for amd64, without secure boot.
    pub const fn new(platform: Platform, output: Output) -> Self {
        Self {
            platform,
            arch: Arch::Amd64,
            secure_boot: false,
            output,
        }
    }

    /// An ISO of this platform for amd64, without secure boot.
    pub const fn iso(platform: Platform) -> Self {
        Self::new(platform, Output::Iso)
    }

    /// Sets the architecture.
    pub const fn arch(mut self, arch: Arch) -> Self {
        self.arch = arch;
        self
    }

    /// Selects the secure boot flavour (Talos ≥ 1.5).
    pub const fn secure_boot(mut self) -> Self {
        self.secure_boot = true;
        self
    }

    /// This image of one schematic and Talos version.
    pub const fn of(self, schematic: SchematicId, version: TalosVersion) -> Image {
        Image {
            schematic,
            version,
            request: self,
        }
    }

    /// The platform.
    #[must_use]
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    /// The architecture.
    #[must_use]
    pub const fn architecture(&self) -> Arch {
        self.arch
    }

    /// Whether it is the secure boot flavour.
    #[must_use]
    pub const fn is_secure_boot(&self) -> bool {
        self.secure_boot
    }

    /// The kind of file.
    #[must_use]
    pub const fn output(&self) -> Output {
        self.output
    }

    fn flavour(self) -> &'static str {
        if self.secure_boot { "-secureboot" } else { "" }
    }
}

/// The file name at the factory.
impl fmt::Display for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (platform, arch, flavour) = (self.platform, self.arch, self.flavour());
        match self.output {
            Output::Iso => write!(f, "{platform}-{arch}{flavour}.iso"),
            Output::Uki => write!(f, "{platform}-{arch}{flavour}-uki.efi"),
            Output::Kernel => write!(f, "kernel-{arch}"),
            Output::Initramfs => write!(f, "initramfs-{arch}.xz"),
            Output::CommandLine => write!(f, "cmdline-{platform}-{arch}{flavour}"),
            Output::InstallerArchive if self.platform == Platform::Metal => {
                write!(f, "installer-{arch}{flavour}.tar")
            }
            Output::InstallerArchive => write!(f, "{platform}-installer-{arch}{flavour}.tar"),
            Output::Disk(format, compression) => write!(
                f,
                "{platform}-{arch}{flavour}.{}{}",
                format.extension(),
                compression.suffix()
            ),
        }
    }
}

impl FromStr for ImageRequest {
    type Err = Error;

    /// Reads a file name of the factory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name outside the factory's grammar or with a platform that Talos does not
    /// have (the factory answers an opaque 500 for the latter).
    fn from_str(name: &str) -> Result<Self> {
        parse_file_name(name).map_err(|error| match error.target() {
            "" => error.with_target(name),
            _ => error,
        })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, "parse image name").with_message(message)
}

fn parse_file_name(name: &str) -> Result<ImageRequest> {
    let metal = |output, arch: &str| -> Result<ImageRequest> {
        Ok(ImageRequest::new(Platform::Metal, output).arch(arch.parse()?))
    };
    if let Some(arch) = name.strip_prefix("kernel-") {
        return metal(Output::Kernel, arch);
    }
    if let Some(rest) = name.strip_prefix("initramfs-")
        && let Some(arch) = rest.strip_suffix(".xz")
    {
        return metal(Output::Initramfs, arch);
    }
    if let Some(rest) = name.strip_prefix("cmdline-") {
        return flavoured(rest, Output::CommandLine);
    }
    if let Some(stem) = name.strip_suffix(".tar") {
        let (platform, rest) = match stem.split_once("installer-") {
            Some(("", rest)) => ("metal", rest),
            Some((platform, rest)) => (platform.trim_end_matches('-'), rest),
            None => return Err(invalid("invalid profile path")),
        };
        return flavoured(&format!("{platform}-{rest}"), Output::InstallerArchive);
    }
    if let Some(stem) = name.strip_suffix("-uki.efi") {
        return flavoured(stem, Output::Uki);
    }
    if let Some(stem) = name.strip_suffix(".iso") {
        return flavoured(stem, Output::Iso);
    }
    let (stem, extension) = name
        .split_once('.')
        .ok_or_else(|| invalid("invalid profile path"))?;
    flavoured(stem, disk_output(extension)?)
}

fn disk_output(extension: &str) -> Result<Output> {
    for format in DiskFormat::ALL {
        let Some(suffix) = extension.strip_prefix(format.extension()) else {
            continue;
        };
        if let Some(compression) = Compression::ALL.iter().find(|c| c.suffix() == suffix) {
            return Ok(Output::Disk(format, *compression));
        }
    }
    Err(invalid("invalid profile path"))
}

fn flavoured(stem: &str, output: Output) -> Result<ImageRequest> {
    let (stem, secure_boot) = match stem.strip_suffix("-secureboot") {
        Some(stem) => (stem, true),
        None => (stem, false),
    };
    let (platform, arch) = stem
        .rsplit_once('-')
        .ok_or_else(|| invalid("invalid platform-arch"))?;
    Ok(ImageRequest {
        platform: platform.parse()?,
        arch: arch.parse()?,
        secure_boot,
        output,
    })
}

/// One image: a request for a schematic and a Talos version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[must_use]
pub struct Image {
    schematic: SchematicId,
    version: TalosVersion,
    request: ImageRequest,
}

impl Image {
    /// The schematic.
    #[must_use]
    pub const fn schematic(&self) -> &SchematicId {
        &self.schematic
    }

    /// The Talos version.
    #[must_use]
    pub const fn version(&self) -> &TalosVersion {
        &self.version
    }

    /// Platform, architecture, flavour and kind.
    pub const fn request(&self) -> ImageRequest {
        self.request
    }

    /// The path at the factory, without a leading slash.
    #[must_use]
    pub fn path(&self) -> String {
        format!("image/{}/{}/{}", self.schematic, self.version, self.request)
    }

    /// A name under which to store the image: with version, flavour and the first digits of the schematic ID,
    /// since the factory calls the images of all schematics the same. Only letters, digits, `_`, `.` and `-`, so
    /// Proxmox VE keeps it as it is.
    ///
    /// `talos-v1.10.7-nocloud-amd64-secureboot-88d1f7a5c4f1.iso`
    #[must_use]
    pub fn file_name(&self) -> String {
        let name = self.request.to_string();
        match name.split_once('.') {
            Some((_, extension)) => self.file_name_as(extension),
            None => self.stem(),
        }
    }

    /// [`file_name`](Self::file_name) with another extension. Proxmox VE takes a compressed raw image into ISO
    /// storage only under a name that ends in `img`.
    #[must_use]
    pub fn file_name_as(&self, extension: &str) -> String {
        format!("{}.{extension}", self.stem())
    }

    fn stem(&self) -> String {
        let name = self.request.to_string();
        let stem = name.split('.').next().unwrap_or_default();
        format!("talos-{}-{stem}-{}", self.version, self.schematic.short())
    }

    /// The installer image that belongs to this image: same schematic, version, platform and flavour. A node that
    /// is installed from another one loses extensions or its platform's configuration at the first reboot.
    pub fn installer(&self) -> Installer {
        let installer = Installer::new(
            self.request.platform,
            self.schematic.clone(),
            self.version.clone(),
        );
        if self.request.secure_boot {
            installer.secure_boot()
        } else {
            installer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(request: ImageRequest) -> Image {
        let id = SchematicId::parse(SchematicId::EMPTY).unwrap();
        request.of(id, TalosVersion::new(1, 10, 7))
    }

    #[test]
    fn every_kind_has_the_name_that_the_factory_parses() {
        let on = |output| ImageRequest::new(Platform::Nocloud, output).secure_boot();
        for (request, name) in [
            (on(Output::Iso), "nocloud-amd64-secureboot.iso"),
            (on(Output::Uki), "nocloud-amd64-secureboot-uki.efi"),
            (on(Output::CommandLine), "cmdline-nocloud-amd64-secureboot"),
            (
                on(Output::InstallerArchive),
                "nocloud-installer-amd64-secureboot.tar",
            ),
            (
                on(Output::Disk(DiskFormat::Raw, Compression::Zstd)),
                "nocloud-amd64-secureboot.raw.zst",
            ),
            (
                on(Output::Disk(DiskFormat::Qcow2, Compression::None)),
                "nocloud-amd64-secureboot.qcow2",
            ),
            (
                ImageRequest::new(Platform::Metal, Output::Kernel),
                "kernel-amd64",
            ),
            (
                ImageRequest::new(Platform::Metal, Output::Initramfs).arch(Arch::Arm64),
                "initramfs-arm64.xz",
            ),
            (
                ImageRequest::iso(Platform::DigitalOcean),
                "digital-ocean-amd64.iso",
            ),
        ] {
            assert_eq!(request.to_string(), name);
            assert_eq!(name.parse::<ImageRequest>().unwrap(), request);
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for name in [
            "",
            "nocloud-amd64",
            "nocloud-amd64.ssd",
            "nocloud-foo.iso",
            "nowhere-amd64.iso",
            "nocloud-amd64.raw.bz2",
            "amd64.iso",
        ] {
            let error = name.parse::<ImageRequest>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn stored_names_tell_version_flavour_and_schematic() {
        let iso = image(ImageRequest::iso(Platform::Nocloud).secure_boot());
        assert_eq!(
            iso.file_name(),
            "talos-v1.10.7-nocloud-amd64-secureboot-376567988ad3.iso"
        );

        let disk = Output::Disk(DiskFormat::Raw, Compression::Zstd);
        let disk = image(ImageRequest::new(Platform::Nocloud, disk));
        assert_eq!(
            disk.file_name(),
            "talos-v1.10.7-nocloud-amd64-376567988ad3.raw.zst"
        );
        assert_eq!(
            disk.file_name_as("img"),
            "talos-v1.10.7-nocloud-amd64-376567988ad3.img"
        );

        let kernel = image(ImageRequest::new(Platform::Metal, Output::Kernel));
        assert_eq!(
            kernel.file_name(),
            "talos-v1.10.7-kernel-amd64-376567988ad3"
        );
    }
}
