use factory_client::Schematic;
use factory_client::schematic::{Encoder, OptionValue, Overlay};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let text = include_str!("../../data/factory/go-yaml-scalars.json");
    let data: Value = serde_json::from_str(text).unwrap();
    data["vectors"].as_array().unwrap().clone()
}

/// A schematic with `text` in one place. Built by parsing a double-quoted scalar, since the builder refuses some of
/// these strings on purpose.
fn schematic(context: &str, text: &str) -> Schematic {
    let quoted = serde_json::to_string(text).unwrap();
    Schematic::parse(&match context {
        "kernel_arg" => format!("customization: {{extraKernelArgs: [{quoted}]}}"),
        "meta_value" => format!("customization: {{meta: [{{key: 10, value: {quoted}}}]}}"),
        "embedded_config" => {
            format!("customization: {{embeddedMachineConfiguration: {quoted}}}")
        }
        other => panic!("unknown context {other}"),
    })
    .unwrap()
}

#[test]
fn every_string_is_written_as_by_each_encoder_in_each_place() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 466);
    for vector in vectors {
        let input = vector["input"].as_str().unwrap();
        for generation in Encoder::ALL {
            let own = &vector["differs"][generation.to_string()];
            let expected = if own.is_null() { &vector } else { own };
            for context in ["kernel_arg", "meta_value", "embedded_config"] {
                let schematic = schematic(context, input);
                assert_eq!(
                    schematic.canonical_by(generation),
                    expected[context]["canonical"].as_str().unwrap(),
                    "{input:?} as {context} in {generation}"
                );
                assert_eq!(
                    schematic.id_by(generation).as_str(),
                    expected[context]["id"].as_str().unwrap()
                );
            }
        }
    }
}

/// Two more places follow from the plain mapping of the data: only the column of continuation lines differs.
#[test]
fn overlay_options_and_extension_names_follow_the_same_rules() {
    for vector in vectors() {
        let input = vector["input"].as_str().unwrap();
        if input.is_empty() || input.contains(['\n', '\u{2028}', '\u{2029}']) {
            continue;
        }
        let value = vector["mapping_value"]
            .as_str()
            .unwrap()
            .strip_prefix("k: ")
            .unwrap();
        let overlay = Overlay::new("i", "n").option("k", OptionValue::String(input.to_owned()));
        let text = Schematic::builder()
            .overlay(overlay)
            .build()
            .unwrap()
            .canonical();
        assert!(text.contains(&format!("        k: {value}")), "{input:?}");
    }
}

#[test]
fn a_string_that_encoders_write_differently_has_no_local_id() {
    for vector in vectors() {
        let input = vector["input"].as_str().unwrap();
        if !vector["differs"].is_null() && !input.is_empty() {
            assert_eq!(schematic("kernel_arg", input).local_id(), None, "{input:?}");
        }
    }
}
