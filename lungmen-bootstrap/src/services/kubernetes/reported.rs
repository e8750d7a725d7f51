//! The checks that are not waited for: the cluster works without what they ask.

use super::check::{CheckName, CheckState};
use super::survey::{self, ClusterSurvey};
use super::warning::Warning;
use crate::services::Error;

/// The checks that are reported as they are, after the ones that are waited for.
pub(super) const REPORTED: [CheckName; 5] = [
    CheckName::SystemRestarts,
    CheckName::Versions,
    CheckName::AllPods,
    CheckName::Services,
    CheckName::Ingresses,
];

/// The state of a check that is not waited for.
pub(super) fn report(
    name: CheckName,
    warnings: &[Warning],
    survey: Result<&ClusterSurvey, &Error>,
) -> CheckState {
    let of = |is_meant: fn(&Warning) -> bool| {
        let texts = warnings.iter().filter(|warning| is_meant(warning));
        survey::warned("found", texts.map(ToString::to_string).collect())
    };
    match (name, survey) {
        (CheckName::SystemRestarts, _) => of(|warning| matches!(warning, Warning::Restarts { .. })),
        (CheckName::Versions, _) => of(|warning| {
            matches!(
                warning,
                Warning::ServerVersion { .. }
                    | Warning::KubeletVersion { .. }
                    | Warning::OsImage { .. }
            )
        }),
        (_, Err(error)) => CheckState::Skipped(format!("not readable: {error}")),
        (CheckName::AllPods, Ok(survey)) => survey.pods(),
        (CheckName::Services, Ok(survey)) => survey.services(),
        (_, Ok(survey)) => survey.ingresses(),
    }
}
