//! A diagnosis for people.

use std::fmt;

use super::{Diagnosis, Finding};
use crate::spec::diagnostic::Severity;

impl fmt::Display for Diagnosis {
    /// The servers, then each finding with its fix and commands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "doctor of cluster {}", self.cluster)?;
        for answer in &self.servers {
            match &answer.address {
                Some(address) => writeln!(f, "  = {} at {address}", answer.is)?,
                None => writeln!(f, "  = {}", answer.is)?,
            }
        }
        for finding in &self.findings {
            write!(f, "\n{finding}")?;
        }
        let count = |severity| {
            let findings = self.findings.iter();
            findings
                .filter(|finding| finding.severity == severity)
                .count()
        };
        writeln!(
            f,
            "\n{} error(s), {} warning(s), {} note(s)",
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Note)
        )
    }
}

impl fmt::Display for Finding {
    /// One line for what was found, and one for each way out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{word} {}", self.id)?;
        if let Some(server) = &self.server {
            write!(f, " ({server})")?;
        }
        match &self.machine {
            Some(machine) => writeln!(f, ": {machine}: {}", self.found)?,
            None => writeln!(f, ": {}", self.found)?,
        }
        if !self.fix.is_empty() {
            writeln!(f, "  fix: {}", self.fix)?;
        }
        for command in &self.commands {
            writeln!(f, "  $ {command}")?;
        }
        Ok(())
    }
}
