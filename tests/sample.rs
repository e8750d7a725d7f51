//! The part of a long matrix that `cargo test` runs.

/// About `count` of the cases, evenly spread. `LUNGMEN_MATRIX=full` asks for all of them, and another value for those whose
/// `Debug` text contains it.
pub(crate) fn sample<T: std::fmt::Debug>(mut cases: Vec<T>, count: usize) -> Vec<T> {
    match std::env::var("LUNGMEN_MATRIX").ok().as_deref() {
        Some("full") => return cases,
        Some(text) => {
            cases.retain(|case| format!("{case:?}").contains(text));
            return cases;
        }
        None => {}
    }
    let distance = (cases.len() / count).max(1);
    cases.into_iter().step_by(distance).collect()
}
