//! A plan for people.

use std::fmt;

use super::{Action, Change, Plan, PlannedItem, Verdict};

impl fmt::Display for Plan {
    /// Everything that is left to do with its reasons; a step with nothing to do is one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan for cluster {}", self.cluster)?;
        for step in &self.steps {
            let name = step.step.name();
            let quiet = |item: &PlannedItem| item.action.verdict() == Verdict::Nothing;
            if step.items.iter().all(quiet) {
                let texts: Vec<&str> = step.items.iter().map(|item| item.action.text()).collect();
                writeln!(f, "  = {name}: {}", texts.join(", "))?;
                continue;
            }
            writeln!(f, "  {name}: {}", step.step.title())?;
            for item in &step.items {
                write_item(f, item)?;
            }
        }
        for machine in &self.removed {
            writeln!(
                f,
                "  ! VM {} ({}) on {} belongs to the cluster, but not to the specification; a run leaves it alone",
                machine.vm_id, machine.name, machine.node
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "  ! {warning}")?;
        }
        writeln!(f, "{}", conclusion(self))
    }
}

fn write_item(f: &mut fmt::Formatter<'_>, item: &PlannedItem) -> fmt::Result {
    let (mark, word) = mark(&item.action);
    let text = item.action.text();
    writeln!(f, "    {mark} {} {word}: {text}", item.target)?;
    for detail in &item.details {
        writeln!(f, "        {detail}")?;
    }
    match &item.action {
        Action::Change { changes, .. } => write_changes(f, changes),
        Action::NeedsPermission {
            changes,
            permission,
            ..
        } => {
            write_changes(f, changes)?;
            writeln!(f, "        permission: {permission}")
        }
        Action::Blocked { hint, .. } if !hint.is_empty() => writeln!(f, "        hint: {hint}"),
        _ => Ok(()),
    }
}

fn mark(action: &Action) -> (char, &'static str) {
    match action {
        Action::Nothing { .. } => ('=', "nothing"),
        Action::Create { .. } => ('+', "create"),
        Action::Change { .. } => ('~', "change"),
        Action::NeedsPermission { .. } => ('!', "needs permission"),
        Action::Check { .. } => ('=', "check"),
        Action::Unknown { .. } => ('?', "unknown"),
        Action::Blocked { .. } => ('x', "blocked"),
        Action::Skipped => ('-', "skipped"),
    }
}

fn write_changes(f: &mut fmt::Formatter<'_>, changes: &[Change]) -> fmt::Result {
    for change in changes {
        writeln!(f, "        {change}")?;
    }
    Ok(())
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "~ {}: {from} -> {to}", self.path),
            (Some(from), None) => write!(f, "- {}: {from}", self.path),
            (None, Some(to)) => write!(f, "+ {}: {to}", self.path),
            (None, None) => write!(f, "  {}", self.path),
        }
    }
}

fn conclusion(plan: &Plan) -> String {
    let actions = || plan.steps.iter().flat_map(|step| &step.items);
    let count = |verdict| {
        actions()
            .filter(|item| item.action.verdict() == verdict)
            .count()
    };
    match plan.verdict() {
        Verdict::Nothing => "Nothing to do.".to_owned(),
        Verdict::Unknown => "Nothing to do as far as is known; some states are unknown.".to_owned(),
        Verdict::Changes => format!(
            "{} thing(s) to do, {} unknown.",
            count(Verdict::Changes),
            count(Verdict::Unknown)
        ),
        Verdict::Blocked => format!("A run would fail: {} blocked.", count(Verdict::Blocked)),
    }
}
