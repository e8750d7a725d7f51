//! The schema and the table of fields of a specification are what the types say.

use lungmen_bootstrap::Spec;

use crate::root;

/// Compares a generated file with what is committed; `UPDATE_GENERATED=1` writes it.
#[track_caller]
fn assert_generated(file: &str, text: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is stale: run this test with UPDATE_GENERATED=1"
    );
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&Spec::json_schema()).unwrap();

    assert_generated("examples/specification.schema.json", &format!("{schema}\n"));
}

#[test]
fn the_committed_table_of_fields_is_that_of_the_types() {
    let page = format!(
        "# Fields of a specification\n\nA specification is one YAML file. Unknown fields are refused at every level. \
         `examples/specification.schema.json` describes\nthe same fields for editors. Paths in the table are those that \
         findings name; `[]` stands for each item of a list.\n\n{}",
        Spec::field_reference()
    );

    assert_generated("lungmen-bootstrap/docs/specification.md", &page);
}

#[test]
fn the_specifications_of_the_examples_name_the_schema_for_editors() {
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let is_specification = path
            .extension()
            .is_some_and(|extension| extension == "yaml")
            && text.contains("\nproxmox:");
        assert!(
            !is_specification
                || text.starts_with("# yaml-language-server: $schema=specification.schema.json\n"),
            "{}",
            path.display()
        );
    }
}
