//! YAML: what Go's encoders write is read as they mean it, and what we write is.

use serde_json::Value;
use talos_client::yaml::{Node, first_difference, parse_documents};

fn vectors() -> Vec<Value> {
    let data: Value =
        serde_json::from_str(include_str!("../../data/factory/go-yaml-scalars.json")).unwrap();
    data["vectors"].as_array().unwrap().clone()
}

#[test]
fn strings_are_read_as_every_go_encoder_wrote_them() {
    for vector in vectors() {
        let input = vector["input"].as_str().unwrap();
        if input.contains(['\u{2028}', '\u{2029}']) {
            // Go's encoders write them without escapes, and they are line breaks to YAML 1.1 only.
            continue;
        }
        if input.contains('\n') && input.starts_with([' ', '\n']) {
            // Go's encoders get blocks wrong that begin with space.
            continue;
        }
        let encodings = vector["differs"]
            .as_object()
            .into_iter()
            .flat_map(|differs| differs.values());
        for encoding in encodings.chain([&vector]) {
            for (context, expected) in [
                ("mapping_value", Node::mapping([("k", Node::string(input))])),
                ("list_item", Node::sequence([Node::string(input)])),
            ] {
                let Some(text) = encoding[context].as_str() else {
                    continue;
                };
                let read = parse_documents(text)
                    .unwrap_or_else(|error| panic!("{input:?}: {error}\n{text}"));

                assert_eq!(
                    first_difference(&expected, &read[0]),
                    None,
                    "{input:?}:\n{text}"
                );
            }
        }
    }
}

#[test]
fn strings_survive_our_own_writing() {
    for vector in vectors() {
        let input = vector["input"].as_str().unwrap();
        let node = Node::mapping([("k", Node::sequence([Node::string(input)]))]);

        let read = parse_documents(&node.to_yaml()).unwrap();

        assert_eq!(
            first_difference(&node, &read[0]),
            None,
            "{input:?}:\n{}",
            node.to_yaml()
        );
    }
}

#[test]
fn what_go_quotes_is_not_left_plain() {
    for vector in vectors() {
        let (input, expected) = (
            vector["input"].as_str().unwrap(),
            vector["mapping_value"].as_str().unwrap(),
        );
        let written = Node::mapping([("k", Node::string(input))]).to_yaml();

        // Escapes and blocks may be written differently, and astral characters need no escape.
        let plain = written == format!("k: {input}\n") && input.chars().all(|c| c <= '\u{ffff}');
        assert!(!plain || written == expected, "{input:?}: {written}");
    }
}
