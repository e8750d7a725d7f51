//! The value survives: what the encoder writes, an independent YAML 1.1 parser reads back as the same string.

use factory_client::Schematic;
use factory_client::schematic::Encoder;
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

/// Strings for one schematic: as many as it takes to make the documents, not the strings, cheap.
const STRINGS: usize = 62;

fn strings() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), STRINGS)
}

/// A schematic with every string in one of the places that hold strings.
struct Sample<'a> {
    configuration: &'a str,
    option: &'a str,
    lists: [Vec<&'a str>; 3],
}

impl<'a> Sample<'a> {
    fn of(strings: &'a [String]) -> Self {
        let texts: Vec<&str> = strings.iter().map(String::as_str).collect();
        let (single, rest) = texts.split_at(2);
        let list = |at: usize| rest.iter().skip(at).step_by(3).copied().collect();
        Self {
            configuration: single[0],
            option: single[1],
            lists: [list(0), list(1), list(2)],
        }
    }

    /// Built by parsing quoted scalars, since the builder refuses some of these strings on purpose.
    fn schematic(&self) -> Schematic {
        let [arguments, meta, extensions] = &self.lists;
        let meta: Vec<_> = meta
            .iter()
            .map(|value| serde_json::json!({ "key": 10, "value": value }))
            .collect();
        Schematic::parse(
            &serde_json::json!({
                "overlay": { "name": "n", "options": { "key": self.option } },
                "customization": {
                    "embeddedMachineConfiguration": self.configuration,
                    "extraKernelArgs": arguments,
                    "meta": meta,
                    "systemExtensions": { "officialExtensions": extensions },
                },
            })
            .to_string(),
        )
        .unwrap()
    }
}

#[test]
fn every_string_survives_the_canonical_text_in_every_place() {
    // More than 100 000 strings.
    let mut runner = TestRunner::new(cases(1_700));
    runner
        .run(&strings(), |strings| {
            let readable = strings.iter().enumerate().map(|(at, text)| {
                let is_in_list = at >= 2;
                let survives = is_portable(text)
                    && !is_never_readable(text)
                    && !(is_in_list && is_unreadable_in_lists(text));
                if survives {
                    text.clone()
                } else {
                    String::new()
                }
            });
            let readable: Vec<String> = readable.collect();
            let sample = Sample::of(&readable);
            let canonical = sample.schematic().canonical_by(Encoder::V4Rc4);
            let value: serde_yaml::Value = serde_yaml::from_str(&canonical)
                .map_err(|error| TestCaseError::fail(format!("{error}: {canonical:?}")))?;

            let customization = &value["customization"];
            let configuration = customization["embeddedMachineConfiguration"].as_str();
            prop_assert_eq!(configuration.unwrap_or_default(), sample.configuration);
            let option = &value["overlay"]["options"]["key"];
            prop_assert_eq!(option.as_str(), Some(sample.option));
            let [arguments, meta, extensions] = &sample.lists;
            let lists = &customization["systemExtensions"]["officialExtensions"];
            for (at, text) in arguments.iter().enumerate() {
                prop_assert_eq!(customization["extraKernelArgs"][at].as_str(), Some(*text));
            }
            for (at, text) in meta.iter().enumerate() {
                prop_assert_eq!(customization["meta"][at]["value"].as_str(), Some(*text));
            }
            for (at, text) in extensions.iter().enumerate() {
                prop_assert_eq!(lists[at].as_str(), Some(*text));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_local_id_is_the_same_in_every_encoder_and_absent_for_unportable_strings() {
    let mut runner = TestRunner::new(cases(5_000));
    runner
        .run(&text(), |text| {
            let schematic = Schematic::parse(
                &serde_json::json!({ "customization": { "extraKernelArgs": [text] } }).to_string(),
            )
            .unwrap();
            match schematic.local_id() {
                Some(id) => {
                    prop_assert!(is_portable(&text));
                    for generation in Encoder::ALL {
                        prop_assert_eq!(&id, &schematic.id_by(generation));
                    }
                }
                None => prop_assert!(!schematic.uncertainties().is_empty()),
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn our_own_parser_reads_every_canonical_text_back() {
    let mut runner = TestRunner::new(cases(100));
    runner
        .run(&strings(), |strings| {
            let kept = |text: &String| is_portable(text) && !is_unreadable_in_lists(text);
            let arguments: Vec<&String> = strings.iter().filter(|text| kept(text)).collect();
            let text = serde_json::json!({ "customization": { "extraKernelArgs": arguments } });
            let schematic = Schematic::parse(&text.to_string()).unwrap();

            prop_assert_eq!(Schematic::parse(&schematic.canonical()).unwrap(), schematic);
            Ok(())
        })
        .unwrap();
}
