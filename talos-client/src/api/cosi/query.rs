//! Which resources of a type are meant.

use serde::{Deserialize, Serialize};

use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::label_term::Operation;

/// Selects resources of a type by their ids and labels, on the node.
///
/// All conditions must hold; [`ResourceQuery::or`] begins another set of label conditions, of which one is enough. A
/// resource without a label does not fulfil a comparison of it.
///
/// ```
/// use talos_client::cosi::ResourceQuery;
///
/// let query = ResourceQuery::all()
///     .id_matches("^sd[a-z]$")
///     .label_equals("talos.dev/disk-subsystem", "scsi");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[must_use]
pub struct ResourceQuery {
    id: Option<String>,
    labels: Vec<Vec<LabelCondition>>,
}

/// How the value of a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Comparison {
    Exists,
    Equal,
    In,
    Lt,
    LtNumeric,
}

impl From<Comparison> for Operation {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::Exists => Self::Exists,
            Comparison::Equal => Self::Equal,
            Comparison::In => Self::In,
            Comparison::Lt => Self::Lt,
            Comparison::LtNumeric => Self::LtNumeric,
        }
    }
}

/// A condition about one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LabelCondition {
    key: String,
    operation: Comparison,
    values: Vec<String>,
    is_inverted: bool,
}

impl ResourceQuery {
    /// Every resource of the type.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those whose id matches a regular expression of RE2 somewhere. The node checks the expression.
    pub fn id_matches(mut self, expression: impl Into<String>) -> Self {
        self.id = Some(expression.into());
        self
    }

    /// Those that have the label.
    pub fn label_exists(self, key: impl Into<String>) -> Self {
        self.with(key, Comparison::Exists, [], false)
    }

    /// Those that do not have the label.
    pub fn label_missing(self, key: impl Into<String>) -> Self {
        self.with(key, Comparison::Exists, [], true)
    }

    /// Those whose label has this value.
    pub fn label_equals(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(key, Comparison::Equal, [value.into()], false)
    }

    /// Those whose label has another value, or that do not have it.
    pub fn label_differs(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(key, Comparison::Equal, [value.into()], true)
    }

    /// Those whose label has one of these values.
    pub fn label_in<V: Into<String>>(
        self,
        key: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        self.with(key, Comparison::In, values, false)
    }

    /// Those whose label comes before this value in the order of texts.
    pub fn label_before(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(key, Comparison::Lt, [value.into()], false)
    }

    /// Those whose label is a number below this one. Numbers of nodes may carry a unit, such as `10GiB`.
    pub fn label_below(self, key: impl Into<String>, number: impl Into<String>) -> Self {
        self.with(key, Comparison::LtNumeric, [number.into()], false)
    }

    /// Begins another set of label conditions: a resource is selected when one set holds.
    pub fn or(mut self) -> Self {
        self.labels.push(Vec::new());
        self
    }

    fn with(
        mut self,
        key: impl Into<String>,
        operation: Comparison,
        values: impl IntoIterator<Item = String>,
        is_inverted: bool,
    ) -> Self {
        if self.labels.is_empty() {
            self.labels.push(Vec::new());
        }
        if let Some(last) = self.labels.last_mut() {
            last.push(LabelCondition {
                key: key.into(),
                operation,
                values: values.into_iter().collect(),
                is_inverted,
            });
        }
        self
    }

    pub(super) fn id_query(&self) -> Option<pb::IdQuery> {
        self.id.clone().map(|regexp| pb::IdQuery { regexp })
    }

    pub(super) fn label_queries(&self) -> Vec<pb::LabelQuery> {
        let sets = self.labels.iter().filter(|set| !set.is_empty());
        sets.map(|set| pb::LabelQuery {
            terms: set.iter().map(LabelCondition::to_wire).collect(),
        })
        .collect()
    }

    pub(super) fn list_options(&self) -> pb::ListOptions {
        pb::ListOptions {
            label_query: self.label_queries(),
            id_query: self.id_query(),
        }
    }
}

impl LabelCondition {
    fn to_wire(&self) -> pb::LabelTerm {
        pb::LabelTerm {
            key: self.key.clone(),
            op: Operation::from(self.operation).into(),
            value: self.values.clone(),
            invert: self.is_inverted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_conditions_are_alternatives() {
        let query = ResourceQuery::all()
            .label_exists("a")
            .label_differs("b", "1")
            .or()
            .label_in("c", ["1", "2"]);

        let sets = query.label_queries();

        assert_eq!(sets.len(), 2);
        assert_eq!(sets[0].terms.len(), 2);
        assert!(sets[0].terms[1].invert);
        assert_eq!(sets[1].terms[0].op(), Operation::In);
        assert_eq!(sets[1].terms[0].value, ["1", "2"]);
        assert_eq!(ResourceQuery::all().or().label_queries(), []);
    }
}
