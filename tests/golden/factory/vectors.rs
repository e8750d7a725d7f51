use factory_client::Schematic;
use factory_client::schematic::Encoder;
use serde_json::Value;

use super::encoder;

fn vectors() -> Vec<Value> {
    let text = include_str!("../../data/factory/schematic-vectors.json");
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_schematic_has_the_reference_text_and_id_in_every_encoder() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 86);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let schematic = Schematic::parse(vector["yaml"].as_str().unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for generation in Encoder::ALL {
            let own = &vector["differs"][generation.to_string()];
            let expected = if own.is_null() { &vector } else { own };

            assert_eq!(
                schematic.canonical_by(generation),
                expected["canonical"].as_str().unwrap(),
                "{name} in {generation}"
            );
            assert_eq!(
                schematic.id_by(generation).as_str(),
                expected["id"].as_str().unwrap(),
                "{name} in {generation}"
            );
        }
    }
}

#[test]
fn the_local_id_is_the_reference_id_or_absent_where_encoders_may_differ() {
    let mut absent = Vec::new();
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let schematic = Schematic::parse(vector["yaml"].as_str().unwrap()).unwrap();
        match schematic.local_id() {
            Some(id) => {
                assert_eq!(id.as_str(), vector["id"].as_str().unwrap(), "{name}");
                assert!(vector["differs"].is_null(), "{name}");
            }
            None => {
                assert!(!schematic.uncertainties().is_empty());
                absent.push(name.to_owned());
            }
        }
    }
    assert_eq!(
        absent,
        [
            "overlay options with every scalar kind",
            "encoder dependent: kernel arg 'off'",
            "encoder dependent: kernel arg '12:30'",
            "encoder dependent: secureboot enrollKeys off",
            "encoder dependent: leading line break in embedded config",
        ]
    );
}

#[test]
fn the_canonical_text_is_a_fixed_point() {
    for vector in vectors() {
        let schematic = Schematic::parse(vector["yaml"].as_str().unwrap()).unwrap();
        let canonical = schematic.canonical();

        assert_eq!(
            Schematic::parse(&canonical).unwrap().canonical(),
            canonical,
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn the_encoder_names_of_the_data_are_known() {
    for vector in vectors() {
        if let Some(differs) = vector["differs"].as_object() {
            for name in differs.keys() {
                encoder(name);
            }
        }
    }
}
