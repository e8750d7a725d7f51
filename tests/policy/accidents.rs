//! The list of accidents in `tests/README.md` names tests that exist.

/// The texts between backticks of the rows of the list.
fn named() -> Vec<String> {
    let page = std::fs::read_to_string(crate::root().join("tests/README.md")).unwrap();
    let (_, list) = page.split_once("## Accidents").unwrap();
    let rows = list.lines().filter(|line| line.starts_with("| "));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

fn has(path: &str, name: &str) -> bool {
    let text = std::fs::read_to_string(crate::root().join(path)).unwrap_or_default();
    text.contains(&format!("fn {name}("))
}

#[test]
fn every_accident_names_a_test_that_exists() {
    let named = named();
    assert!(named.len() > 30, "{named:?}");
    for (index, name) in named.iter().enumerate() {
        let exists = match name.split_once("::") {
            Some((file, test)) => has(&format!("tests/e2e/{file}.rs"), test),
            None if name.ends_with(".rs") => {
                let path = format!("lungmen-bootstrap/src/{name}");
                has(&path, &named[index - 1])
            }
            // A whole file of tests, or the function that the path behind it has.
            None => {
                let is_function = named
                    .get(index + 1)
                    .is_some_and(|next| next.ends_with(".rs"));
                is_function || crate::root().join(format!("tests/e2e/{name}.rs")).exists()
            }
        };
        assert!(exists, "{name}");
    }
}
