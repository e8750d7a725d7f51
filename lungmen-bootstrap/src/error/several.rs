//! Several failures as one error: of machines that are worked on side by side, and of a check that looks at everything.

use super::{Error, Result};

impl Error {
    /// One error for several failures, in the order in which they were found; `None` without a failure.
    ///
    /// It speaks of the first failure that running again does not resolve, because that one needs somebody, else of the
    /// first one.
    pub(crate) fn of_several(mut failures: Vec<Self>) -> Option<Self> {
        let first = failures.iter().position(|error| !error.is_retryable());
        if failures.is_empty() {
            return None;
        }
        let mut error = failures.remove(first.unwrap_or(0));
        for mut other in failures {
            let nested = std::mem::take(&mut other.inner.others);
            error.inner.others.push(other);
            error.inner.others.extend(nested);
        }
        Some(error)
    }

    /// The same error with the other failures changed alike.
    pub(crate) fn with_each_other(mut self, change: impl Fn(Self) -> Self) -> Self {
        let others = std::mem::take(&mut self.inner.others);
        self.inner.others = others.into_iter().map(change).collect();
        self
    }
}

/// All values, or all failures in one error.
///
/// # Errors
/// One error that has the others, when at least one of the results is an error.
pub(crate) fn all_of<T>(results: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let (mut values, mut failures) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => failures.push(error),
        }
    }
    match Error::of_several(failures) {
        Some(error) => Err(error),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn failures_of_several_machines_are_one_error_that_tells_all_of_them() {
        let passing = Error::new(ErrorKind::Deadline, "wait").at_machine("tal01".into());
        let lasting = Error::new(ErrorKind::NotOurs, "check the VM").at_machine("tal02".into());
        let third = Error::new(ErrorKind::Timeout, "start")
            .uncertain(true)
            .at_machine("tal03".into());

        let error = Error::of_several(vec![passing, lasting, third]).unwrap();

        assert_eq!(error.machine(), Some("tal02"));
        let others: Vec<_> = error.others().iter().map(Error::machine).collect();
        assert_eq!(others, [Some("tal01"), Some("tal03")]);
        assert!(!error.is_retryable() && !error.is_safe_to_repeat());
        assert!(error.may_have_taken_effect());
        for text in [error.report(), error.cause_line()] {
            for name in ["tal01", "tal02", "tal03"] {
                assert!(text.contains(name), "{text}");
            }
        }
        assert!(Error::of_several(Vec::new()).is_none());
    }

    #[test]
    fn all_values_or_all_failures() {
        let failed =
            |target: &str| Err(Error::new(ErrorKind::Rejected, "check").with_target(target));

        assert_eq!(all_of([Ok(1), Ok(2)]).unwrap(), [1, 2]);
        let error = all_of([failed("a"), Ok(1), failed("b")]).unwrap_err();
        assert_eq!((error.target(), error.others()[0].target()), ("a", "b"));
    }
}
