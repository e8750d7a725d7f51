//! The layout of the canonical document, and a walk over its strings.

use std::fmt::Write as _;

use super::encoder::Encoder;
use super::{Bootloader, Schematic, Uncertainty, options, scalar};

pub(super) fn render(schematic: &Schematic, encoder: Encoder) -> String {
    let mut page = Page {
        out: String::with_capacity(256),
        encoder,
    };
    page.schematic(schematic);
    page.out
}

struct Page {
    out: String,
    encoder: Encoder,
}

impl Page {
    /// `head` up to the value, then the value; continuation lines of a block start at `column`.
    fn value(&mut self, head: &str, text: &str, column: usize) {
        self.out.push_str(head);
        scalar::write(&mut self.out, text, column, self.encoder);
    }

    fn value_if_any(&mut self, head: &str, text: &str, column: usize) {
        if !text.is_empty() {
            self.value(head, text, column);
        }
    }

    fn schematic(&mut self, schematic: &Schematic) {
        self.value_if_any("owner: ", &schematic.owner, 4);
        self.overlay(schematic);
        let start = self.out.len();
        self.out.push_str("customization:\n");
        let empty = self.out.len();
        self.customization(schematic);
        if self.out.len() == empty {
            self.out.truncate(start);
            self.out.push_str("customization: {}\n");
        }
    }

    fn overlay(&mut self, schematic: &Schematic) {
        let overlay = &schematic.overlay;
        if overlay.is_empty() {
            return;
        }
        self.out.push_str("overlay:\n");
        self.value("    image: ", &overlay.image, 8);
        self.value("    name: ", &overlay.name, 8);
        if !overlay.options.is_empty() {
            self.out.push_str("    options:\n        ");
            options::write_map(&mut self.out, &overlay.options, 8, self.encoder);
        }
    }

    fn customization(&mut self, schematic: &Schematic) {
        self.value_if_any(
            "    embeddedMachineConfiguration: ",
            &schematic.embedded_machine_configuration,
            8,
        );
        if !schematic.extra_kernel_args.is_empty() {
            self.out.push_str("    extraKernelArgs:\n");
        }
        for argument in &schematic.extra_kernel_args {
            self.value("        - ", argument, 10);
        }
        if !schematic.meta.is_empty() {
            self.out.push_str("    meta:\n");
        }
        for meta in &schematic.meta {
            let _ = writeln!(self.out, "        - key: {}", meta.key);
            self.value("          value: ", &meta.value, 12);
        }
        if !schematic.official_extensions.is_empty() {
            self.out
                .push_str("    systemExtensions:\n        officialExtensions:\n");
        }
        for extension in &schematic.official_extensions {
            self.value("            - ", extension, 14);
        }
        if schematic.bootloader != Bootloader::None {
            let _ = writeln!(self.out, "    bootloader: {}", schematic.bootloader);
        }
        if !schematic.enroll_keys.is_empty() || schematic.include_well_known_certificates {
            self.out.push_str("    secureboot:\n");
            self.value_if_any("        enrollKeys: ", &schematic.enroll_keys, 12);
        }
        if schematic.include_well_known_certificates {
            self.out
                .push_str("        includeWellKnownCertificates: true\n");
        }
        if schematic.sector_size != 0 {
            let _ = writeln!(
                self.out,
                "    diskImage:\n        sectorSize: {}",
                schematic.sector_size
            );
        }
    }
}

/// Every string field with its path; the path is only rendered where it is needed.
fn strings(schematic: &Schematic) -> impl Iterator<Item = (Place, &str)> {
    let single = [
        (Place::Named("owner"), schematic.owner.as_str()),
        (Place::Named("overlay.image"), &schematic.overlay.image),
        (Place::Named("overlay.name"), &schematic.overlay.name),
        (
            Place::Named("customization.embeddedMachineConfiguration"),
            &schematic.embedded_machine_configuration,
        ),
        (
            Place::Named("customization.secureboot.enrollKeys"),
            &schematic.enroll_keys,
        ),
    ];
    let arguments = schematic.extra_kernel_args.iter().enumerate();
    let meta = schematic.meta.iter().enumerate();
    let extensions = schematic.official_extensions.iter().enumerate();
    single
        .into_iter()
        .chain(arguments.map(|(at, text)| (Place::KernelArgument(at), text.as_str())))
        .chain(meta.map(|(at, meta)| (Place::MetaValue(at), meta.value.as_str())))
        .chain(extensions.map(|(at, text)| (Place::Extension(at), text.as_str())))
}

#[derive(Clone, Copy)]
enum Place {
    Named(&'static str),
    KernelArgument(usize),
    MetaValue(usize),
    Extension(usize),
}

impl Place {
    fn path(self) -> String {
        match self {
            Self::Named(path) => path.to_owned(),
            Self::KernelArgument(at) => format!("customization.extraKernelArgs[{at}]"),
            Self::MetaValue(at) => format!("customization.meta[{at}].value"),
            Self::Extension(at) => {
                format!("customization.systemExtensions.officialExtensions[{at}]")
            }
        }
    }
}

fn uncertain_strings(schematic: &Schematic) -> impl Iterator<Item = (Place, &'static str)> {
    let options = options::uncertainty(&schematic.overlay.options)
        .map(|reason| (Place::Named("overlay.options"), reason));
    strings(schematic)
        .filter_map(|(place, text)| Some((place, scalar::uncertainty(text)?)))
        .chain(options)
}

pub(super) fn first_uncertainty(schematic: &Schematic) -> Option<&'static str> {
    uncertain_strings(schematic)
        .map(|(_, reason)| reason)
        .next()
}

pub(super) fn uncertainties(schematic: &Schematic) -> Vec<Uncertainty> {
    uncertain_strings(schematic)
        .map(|(place, reason)| Uncertainty {
            field: place.path(),
            reason,
        })
        .collect()
}
