//! Builder of schematics, with the checks that need no Talos version.

use super::{Bootloader, MetaValue, Overlay, Schematic};
use crate::error::{Error, ErrorKind, Result};

/// Collects the fields of a [`Schematic`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SchematicBuilder {
    schematic: Schematic,
}

impl SchematicBuilder {
    /// Adds an official extension by the name that the factory lists, such as `siderolabs/iscsi-tools`.
    pub fn extension(mut self, name: impl Into<String>) -> Self {
        self.schematic.official_extensions.push(name.into());
        self
    }

    /// Adds official extensions, in this order.
    pub fn extensions<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let names = names.into_iter().map(Into::into);
        self.schematic.official_extensions.extend(names);
        self
    }

    /// Sorts the extensions and drops repeated ones, so that the ID does not depend on the order of the list.
    ///
    /// The factory does neither. Do not call this to reproduce an existing ID.
    pub fn sorted(mut self) -> Self {
        self.schematic.official_extensions.sort();
        self.schematic.official_extensions.dedup();
        self
    }

    /// Adds a kernel argument; a leading `-` removes that argument from the default command line.
    pub fn kernel_arg(mut self, argument: impl Into<String>) -> Self {
        self.schematic.extra_kernel_args.push(argument.into());
        self
    }

    /// Adds kernel arguments, in this order.
    pub fn kernel_args<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let arguments = arguments.into_iter().map(Into::into);
        self.schematic.extra_kernel_args.extend(arguments);
        self
    }

    /// Adds an initial META value.
    pub fn meta(mut self, key: u8, value: impl Into<String>) -> Self {
        self.schematic.meta.push(MetaValue::new(key, value));
        self
    }

    /// Sets the overlay.
    pub fn overlay(mut self, overlay: Overlay) -> Self {
        self.schematic.overlay = overlay;
        self
    }

    /// Embeds a machine configuration (Talos ≥ 1.12, factory ≥ v1.3.3).
    pub fn embedded_machine_configuration(mut self, yaml: impl Into<String>) -> Self {
        self.schematic.embedded_machine_configuration = yaml.into();
        self
    }

    /// Sets the boot loader (factory ≥ v0.9.0).
    pub fn bootloader(mut self, bootloader: Bootloader) -> Self {
        self.schematic.bootloader = bootloader;
        self
    }

    /// Sets the secure boot enrolment mode: `off`, `manual`, `if-safe` or `force` (factory ≥ v1.4.0).
    pub fn enroll_keys(mut self, mode: impl Into<String>) -> Self {
        self.schematic.enroll_keys = mode.into();
        self
    }

    /// Also enrols Microsoft's certificates (factory ≥ v0.5.0), which option ROMs of passed-through cards need.
    pub fn include_well_known_certificates(mut self) -> Self {
        self.schematic.include_well_known_certificates = true;
        self
    }

    /// Sets the sector size of disk images in bytes (factory ≥ v1.3.3).
    pub fn sector_size(mut self, bytes: u64) -> Self {
        self.schematic.sector_size = bytes;
        self
    }

    /// Sets the owner, which an Enterprise factory adds by default.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.schematic.owner = owner.into();
        self
    }

    /// The schematic.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], naming the field, for a value that no factory could store faithfully or use:
    /// an empty name, a kernel argument or extension with a line break, a META value of several lines that starts
    /// with white space (the factory writes it so that it cannot be read back), an embedded configuration that starts
    /// with a tab, an enrolment mode that does not exist, an option key that is too long.
    pub fn build(self) -> Result<Schematic> {
        let schematic = self.schematic;
        match first_fault(&schematic) {
            None => Ok(schematic),
            Some((field, message)) => Err(Error::new(ErrorKind::InvalidInput, "build schematic")
                .with_target(field)
                .with_message(message)),
        }
    }
}

const ENROLL_MODES: [&str; 4] = ["off", "manual", "if-safe", "force"];

fn first_fault(schematic: &Schematic) -> Option<(String, String)> {
    let names = schematic.official_extensions.iter().enumerate();
    let bad_name = |(_, name): &(usize, &String)| {
        name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if let Some((at, name)) = names.clone().find(bad_name) {
        return Some((
            format!("systemExtensions.officialExtensions[{at}]"),
            format!("{name:?} is not an extension name"),
        ));
    }
    let mut arguments = schematic.extra_kernel_args.iter().enumerate();
    if let Some((at, _)) = arguments.find(|(_, argument)| argument.contains(['\n', '\r'])) {
        return Some((
            format!("extraKernelArgs[{at}]"),
            "a kernel argument must be a single line".to_owned(),
        ));
    }
    let mut meta = schematic.meta.iter().enumerate();
    if let Some((at, _)) = meta.find(|(_, meta)| is_unreadable_block(&meta.value)) {
        return Some((
            format!("meta[{at}].value"),
            "a text of several lines must not start with white space: the factory could not read it back"
                .to_owned(),
        ));
    }
    if schematic.embedded_machine_configuration.starts_with('\t') {
        return Some((
            "embeddedMachineConfiguration".to_owned(),
            "YAML does not start with a tab".to_owned(),
        ));
    }
    let mode = schematic.enroll_keys.as_str();
    if !mode.is_empty() && !ENROLL_MODES.contains(&mode) {
        return Some((
            "secureboot.enrollKeys".to_owned(),
            format!("{mode:?} is not one of {}", ENROLL_MODES.join(", ")),
        ));
    }
    let mut keys = schematic.overlay.options.keys();
    keys.find(|key| key.len() > 128 || key.contains(['\n', '\r']))
        .map(|key| {
            (
                "overlay.options".to_owned(),
                format!("the key {key:?} is too long or has several lines"),
            )
        })
}

/// The factory writes such a text without an indentation that it could recognise when it reads it again.
pub(crate) fn is_unreadable_block(text: &str) -> bool {
    text.contains('\n') && text.starts_with([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: SchematicBuilder) -> String {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.target().to_owned()
    }

    #[test]
    fn sorting_is_explicit_and_drops_repeated_names() {
        let builder = Schematic::builder().extensions(["b", "a", "b"]);

        assert_eq!(
            builder.clone().build().unwrap().extensions(),
            ["b", "a", "b"]
        );
        assert_eq!(builder.sorted().build().unwrap().extensions(), ["a", "b"]);
    }

    #[test]
    fn values_that_no_factory_can_use_are_refused_with_their_place() {
        let new = Schematic::builder;
        assert_eq!(
            refused(new().extensions(["a", ""])),
            "systemExtensions.officialExtensions[1]"
        );
        assert_eq!(
            refused(new().kernel_arg("quiet\nsplash")),
            "extraKernelArgs[0]"
        );
        assert_eq!(refused(new().meta(10, " a:\n  b")), "meta[0].value");
        assert_eq!(refused(new().enroll_keys("auto")), "secureboot.enrollKeys");
    }
}
