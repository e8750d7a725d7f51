//! The value survives: what the encoder writes, an independent YAML 1.1 parser reads back as the same string.

use factory_client::Schematic;
use factory_client::schematic::{Encoder, OptionValue, Overlay};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Pieces from which interesting strings are made: everything that some rule looks at.
const PIECES: &[&str] = &[
    "a",
    "B",
    "z9",
    "0",
    "1",
    "12",
    "0x",
    "0o",
    "0b",
    "_",
    "e3",
    "E+",
    ".",
    "..",
    "...",
    "-",
    "--",
    "---",
    "+",
    ":",
    ": ",
    " :",
    ":\t",
    "#",
    " #",
    "\t",
    " ",
    "  ",
    "\n",
    "\n\n",
    " \n",
    "\n ",
    "'",
    "''",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&",
    "*",
    "!",
    "|",
    ">",
    "%",
    "@",
    "`",
    "?",
    "? ",
    "- ",
    "~",
    "null",
    "true",
    "False",
    "yes",
    "off",
    "y",
    "N",
    "<<",
    ".inf",
    ".nan",
    "2001-01-01",
    "T1:2:3Z",
    "12:30",
    "é",
    "ß",
    "漢",
    "😀",
    "\u{7f}",
    "\u{0}",
    "\u{7}",
    "\u{a0}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "=",
    "/",
    "console=ttyS0",
    "net.ifnames=0",
    "siderolabs/iscsi-tools",
    "\r",
];

fn cases(number: u32) -> Config {
    Config {
        failure_persistence: None,
        ..Config::with_cases(number)
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(PIECES), 0..8).prop_map(|p| p.concat()),
        1 => "\\PC{0,24}",
        1 => any::<String>(),
    ]
}

/// Not even the factory reads these back for certain: Unicode line breaks and byte order marks, where YAML versions
/// disagree, and blocks that start with a line break, behind which it takes the wrong indentation. They have no local
/// ID.
fn is_portable(text: &str) -> bool {
    let starts_with_break = text.contains('\n') && text.starts_with(['\n', '\r']);
    !starts_with_break && !text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'])
}

/// A block that starts with a tab is written without an indentation that any parser of YAML 1.1 recognises.
fn is_never_readable(text: &str) -> bool {
    text.contains('\n') && text.starts_with('\t')
}

/// Blocks that start with a blank cannot be read back by the factory either, except in an embedded configuration.
fn is_unreadable_in_lists(text: &str) -> bool {
    text.contains('\n') && text.starts_with([' ', '\n', '\r'])
}

fn schematic_with(text: &str) -> Schematic {
    let quoted = serde_json::to_string(text).unwrap();
    let list = if is_unreadable_in_lists(text) {
        "\"\""
    } else {
        &quoted
    };
    Schematic::parse(&format!(
        "overlay: {{name: n, options: {{key: {quoted}}}}}\n\
         customization:\n  embeddedMachineConfiguration: {quoted}\n  extraKernelArgs: [{list}, after]\n  \
         meta: [{{key: 10, value: {list}}}]\n  systemExtensions: {{officialExtensions: [{list}]}}\n"
    ))
    .unwrap()
}

fn reread(canonical: &str) -> serde_yaml::Value {
    serde_yaml::from_str(canonical).unwrap_or_else(|error| panic!("{error}: {canonical:?}"))
}

#[test]
fn every_string_survives_the_canonical_text_in_every_place() {
    let mut runner = TestRunner::new(cases(100_000));
    runner
        .run(&text(), |text| {
            let schematic = schematic_with(&text);
            if !is_portable(&text) {
                prop_assert_eq!(schematic.local_id(), None);
                return Ok(());
            }
            prop_assume!(!is_never_readable(&text));
            let value = reread(&schematic.canonical_by(Encoder::V4Rc4));
            let list = if is_unreadable_in_lists(&text) {
                ""
            } else {
                &text
            };
            let customization = &value["customization"];

            prop_assert_eq!(customization["extraKernelArgs"][0].as_str(), Some(list));
            prop_assert_eq!(customization["extraKernelArgs"][1].as_str(), Some("after"));
            prop_assert_eq!(customization["meta"][0]["value"].as_str(), Some(list));
            let extensions = &customization["systemExtensions"]["officialExtensions"];
            prop_assert_eq!(extensions[0].as_str(), Some(list));
            prop_assert_eq!(
                value["overlay"]["options"]["key"].as_str(),
                Some(text.as_str())
            );
            if !text.is_empty() {
                let configuration = &customization["embeddedMachineConfiguration"];
                prop_assert_eq!(configuration.as_str(), Some(text.as_str()));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_local_id_is_the_same_in_every_encoder() {
    let mut runner = TestRunner::new(cases(20_000));
    runner
        .run(&text(), |text| {
            let schematic = schematic_with(&text);
            if let Some(id) = schematic.local_id() {
                for generation in Encoder::ALL {
                    prop_assert_eq!(&id, &schematic.id_by(generation));
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn our_own_parser_reads_every_canonical_text_back() {
    let mut runner = TestRunner::new(cases(20_000));
    runner
        .run(&text(), |text| {
            prop_assume!(is_portable(&text) && !is_unreadable_in_lists(&text));
            let overlay =
                Overlay::new("i", text.clone()).option("k", OptionValue::from(text.as_str()));
            let schematic = Schematic::builder().overlay(overlay).build().unwrap();

            prop_assert_eq!(Schematic::parse(&schematic.canonical()).unwrap(), schematic);
            Ok(())
        })
        .unwrap();
}
