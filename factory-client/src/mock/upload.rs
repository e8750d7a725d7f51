//! Schematics: parsing, canonical form and rejections as the factory of the chosen version has them.

use http::StatusCode;
use serde_json::json;

use super::response::MockResponse;
use super::state::FactoryState;
use crate::id::SchematicId;
use crate::schematic::{Bootloader, Encoder, Problem, Schematic, decode};

/// The response to `POST /schematics`.
pub(super) fn create(state: &FactoryState, body: &[u8]) -> MockResponse {
    let generation = state.settings.generation();
    let text = String::from_utf8_lossy(body);
    let mut schematic = match decode(&text) {
        Ok(schematic) => schematic,
        Err(problems) => return MockResponse::bad_request(in_words_of(generation, &problems)),
    };
    if let Some(unknown) = unknown_field(state, &schematic) {
        return MockResponse::bad_request(in_words_of(generation, &[unknown]));
    }
    if let Err(response) = stamp_owner(state, &mut schematic) {
        return response;
    }
    let canonical = schematic.canonical_by(generation);
    let id = SchematicId::of_text(&canonical);
    state.store(&id, schematic);
    let factory = &state.settings.factory;
    let body = if (factory.major, factory.minor) >= (1, 3) {
        json!({ "id": id.as_str(), "schematic": canonical })
    } else {
        json!({ "id": id.as_str() })
    };
    MockResponse::new(StatusCode::CREATED, "application/json", format!("{body}\n"))
}

/// The response to `GET /schematics/{id}`: the stored schematic, encoded again by the running version.
pub(super) fn get(state: &FactoryState, id: &str) -> MockResponse {
    let found = SchematicId::parse(id).ok();
    match found.and_then(|id| state.look_up(&id)) {
        Some(schematic) => {
            let text = schematic.canonical_by(state.settings.generation());
            MockResponse::new(StatusCode::OK, "application/yaml", text)
        }
        None => MockResponse::not_found("schematic not found"),
    }
}

fn stamp_owner(state: &FactoryState, schematic: &mut Schematic) -> Result<(), MockResponse> {
    match &state.settings.account {
        Some((user, _)) if schematic.owner.is_empty() => schematic.owner = user.clone(),
        Some((user, _)) if schematic.owner == *user => {}
        Some(_) => return Err(MockResponse::error(StatusCode::FORBIDDEN, "access denied")),
        None if schematic.owner.is_empty() => {}
        None => {
            let text = "owner field is only supported in Enterprise edition";
            return Err(MockResponse::bad_request(text));
        }
    }
    Ok(())
}

/// A field that the chosen version of the factory does not know yet.
fn unknown_field(state: &FactoryState, schematic: &Schematic) -> Option<Problem> {
    let factory = &state.settings.factory;
    let version = (factory.major, factory.minor, factory.patch);
    let fields = [
        (
            "overlay",
            "Schematic",
            (0, 3, 0),
            schematic.overlay().is_some(),
        ),
        (
            "owner",
            "Schematic",
            (1, 2, 0),
            !schematic.owner().is_empty(),
        ),
        (
            "includeWellKnownCertificates",
            "SecureBootCustomization",
            (0, 5, 0),
            schematic.includes_well_known_certificates(),
        ),
        (
            "bootloader",
            "Customization",
            (0, 9, 0),
            schematic.bootloader() != Bootloader::None,
        ),
        (
            "embeddedMachineConfiguration",
            "Customization",
            (1, 3, 3),
            !schematic.embedded_machine_configuration().is_empty(),
        ),
        (
            "diskImage",
            "Customization",
            (1, 3, 3),
            schematic.sector_size() != 0,
        ),
        (
            "enrollKeys",
            "SecureBootCustomization",
            (1, 4, 0),
            !schematic.enroll_keys().is_empty(),
        ),
    ];
    fields
        .into_iter()
        .find(|(_, _, since, is_used)| *is_used && version < *since)
        .map(|(field, kind, ..)| {
            Problem::new(
                1,
                format!("field {field} not found in type schematic.{kind}"),
            )
        })
}

/// The text of a rejection differs between the generations, so clients must not match it.
fn in_words_of(generation: Encoder, problems: &[Problem]) -> String {
    if let Some(problem) = problems.first().filter(|problem| problem.is_syntax) {
        return match problem.line {
            0 => problem.text.clone(),
            line => format!("yaml: line {line}: {}", problem.text),
        };
    }
    if let Some(problem) = problems
        .iter()
        .find(|problem| problem.text.contains("does not belong to"))
    {
        return problem.text.clone();
    }
    let (verb, separator) = match generation {
        Encoder::V3 | Encoder::V4Rc3 => ("unmarshal", "\n  "),
        Encoder::V4Rc4 => ("construct", "\n  "),
        Encoder::V4Rc6 => ("construct", " "),
    };
    let lines = problems.iter().map(|problem| {
        let text = problem.to_string();
        format!(
            "{separator}{}",
            text.replace("cannot construct", &format!("cannot {verb}"))
        )
    });
    format!("yaml: {verb} errors:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_words_a_rejection_in_its_own_way() {
        let problems = [Problem::new(
            2,
            "field foo not found in type schematic.Schematic",
        )];

        assert_eq!(
            in_words_of(Encoder::V3, &problems),
            "yaml: unmarshal errors:\n  line 2: field foo not found in type schematic.Schematic"
        );
        assert_eq!(
            in_words_of(Encoder::V4Rc6, &problems),
            "yaml: construct errors: line 2: field foo not found in type schematic.Schematic"
        );
    }
}
