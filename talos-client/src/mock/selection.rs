//! Which resources a query of COSI selects.

use regex::Regex;
use tonic::Status;

use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::label_term::Operation;

/// A query that was read.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    id: Option<Regex>,
    labels: Vec<pb::LabelQuery>,
}

impl Selection {
    /// Reads a query as nodes do: an expression that cannot be read is an error of the call.
    pub(super) fn read(
        labels: Vec<pb::LabelQuery>,
        id: Option<pb::IdQuery>,
    ) -> Result<Self, Status> {
        let id = match id {
            Some(id) if !id.regexp.is_empty() => Some(Regex::new(&id.regexp).map_err(|error| {
                Status::invalid_argument(format!("failed to compile regexp: {error}"))
            })?),
            _ => None,
        };
        let known = |term: &pb::LabelTerm| Operation::try_from(term.op).is_ok();
        if let Some(term) = labels
            .iter()
            .flat_map(|query| &query.terms)
            .find(|term| !known(term))
        {
            return Err(Status::unimplemented(format!(
                "unsupported label query operator: {}",
                term.op
            )));
        }
        Ok(Self { id, labels })
    }

    pub(super) fn selects(&self, resource: &pb::Resource) -> bool {
        let Some(metadata) = &resource.metadata else {
            return false;
        };
        let is_meant =
            |query: &pb::LabelQuery| query.terms.iter().all(|term| holds(term, metadata));
        self.id.as_ref().is_none_or(|id| id.is_match(&metadata.id))
            && (self.labels.is_empty() || self.labels.iter().any(is_meant))
    }
}

/// The rules of the reference: a comparison with a missing or unreadable label holds in neither direction.
fn holds(term: &pb::LabelTerm, metadata: &pb::Metadata) -> bool {
    let label = metadata.labels.get(&term.key);
    let first = term.value.first();
    let compared = |compare: fn(&str, &str) -> Option<bool>| {
        let value = label?;
        first.map_or(Some(false), |first| compare(value, first))
    };
    let judged = match term.op() {
        Operation::Exists => Some(label.is_some()),
        Operation::NotExists => Some(label.is_none()),
        Operation::Equal => Some(label.is_some() && label == first),
        Operation::In => Some(label.is_some_and(|label| term.value.contains(label))),
        Operation::Lt => compared(|left, right| Some(left < right)),
        Operation::Lte => compared(|left, right| Some(left <= right)),
        Operation::LtNumeric => compared(|left, right| Some(number(left)? < number(right)?)),
        Operation::LteNumeric => compared(|left, right| Some(number(left)? <= number(right)?)),
    };
    judged.is_some_and(|holds| holds != term.invert)
}

/// Nodes know units too; no label of the mock has one.
fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(id: &str, labels: &[(&str, &str)]) -> pb::Resource {
        pb::Resource {
            metadata: Some(pb::Metadata {
                id: id.to_owned(),
                labels: labels
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
                ..Default::default()
            }),
            spec: None,
        }
    }

    fn term(op: Operation, value: &[&str], invert: bool) -> Vec<pb::LabelQuery> {
        vec![pb::LabelQuery {
            terms: vec![pb::LabelTerm {
                key: "size".to_owned(),
                op: op.into(),
                value: value.iter().map(|value| (*value).to_owned()).collect(),
                invert,
            }],
        }]
    }

    #[test]
    fn a_label_is_compared_only_where_it_exists() {
        let (small, large, none) = (
            disk("a", &[("size", "9")]),
            disk("b", &[("size", "10")]),
            disk("c", &[]),
        );
        for (op, values, invert, expected) in [
            (Operation::Exists, &[][..], false, [true, true, false]),
            (Operation::Exists, &[][..], true, [false, false, true]),
            (Operation::Equal, &["10"][..], false, [false, true, false]),
            (Operation::Equal, &["10"][..], true, [true, false, true]),
            (Operation::In, &["9", "11"][..], false, [true, false, false]),
            // As texts, and as numbers.
            (Operation::Lt, &["9"][..], false, [false, true, false]),
            (
                Operation::LtNumeric,
                &["10"][..],
                false,
                [true, false, false],
            ),
            (
                Operation::LtNumeric,
                &["10"][..],
                true,
                [false, true, false],
            ),
            (
                Operation::LteNumeric,
                &["x"][..],
                true,
                [false, false, false],
            ),
        ] {
            let selection = Selection::read(term(op, values, invert), None).unwrap();

            let selected = [&small, &large, &none].map(|disk| selection.selects(disk));

            assert_eq!(selected, expected, "{op:?} {values:?} {invert}");
        }
    }

    #[test]
    fn an_id_is_searched_for_an_expression() {
        let id = |regexp: &str| {
            Some(pb::IdQuery {
                regexp: regexp.to_owned(),
            })
        };

        let selection = Selection::read(Vec::new(), id("^sd")).unwrap();
        assert!(selection.selects(&disk("sda", &[])));
        assert!(!selection.selects(&disk("nvme0-sd", &[])));

        let broken = Selection::read(Vec::new(), id("(")).unwrap_err();
        assert_eq!(broken.code(), tonic::Code::InvalidArgument);
    }
}
