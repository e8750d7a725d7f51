//! What is printed at the end.

use std::io::Write as _;

use lungmen_bootstrap::{Cluster, Destroyed, PartialRun, StepReport};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::signals::Signal;

const SIMULATED: &str = "Simulated: every server is a mock in this process, and nothing of it is real. \
                         For real servers: --live.";

/// Prints results, for people or as JSON lines.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    is_simulated: bool,
    /// The flags that the next command needs to find the same cluster.
    flags: String,
}

impl Output {
    pub(crate) fn of(arguments: &Arguments) -> Self {
        Self {
            json: arguments.json,
            is_simulated: !arguments.live,
            flags: arguments.repeated(),
        }
    }

    /// The first line of a simulation says that it is one.
    pub(crate) fn begin(&self) {
        if self.is_simulated && self.json {
            print_json(&serde_json::json!({ "event": "simulated", "text": SIMULATED }));
        } else if self.is_simulated {
            print(&format!("{SIMULATED}\n"));
        }
    }

    /// The last line as well. In JSON the result stays the last line.
    pub(crate) fn end(&self) {
        if self.is_simulated && !self.json {
            print(&format!("\n{SIMULATED}\n"));
        }
    }

    /// A result that prints itself.
    pub(crate) fn result(&self, result: &(impl serde::Serialize + std::fmt::Display)) {
        if self.json {
            print_json(result);
        } else {
            print(&result.to_string());
        }
    }

    pub(crate) fn success(&self, cluster: &Cluster) {
        if self.json {
            print_json(cluster);
            return;
        }
        let mut text = steps_table(&cluster.steps);
        text.push_str("\nfiles\n");
        for file in &cluster.files {
            text.push_str(&format!("  {:o}  {}\n", file.mode, file.path.display()));
        }
        if cluster.was_complete() {
            text.push_str(match cluster.warnings.is_empty() {
                true => "\neverything was already done\n",
                false => "\neverything was already done, with the warnings above\n",
            });
        }
        text.push_str("\nnext\n");
        text.push_str(&match self.is_simulated {
            true => self.next_in_the_lab(cluster.name.as_str()),
            false => next_with_real_tools(cluster),
        });
        print(&text);
    }

    pub(crate) fn reached(&self, progress: &PartialRun) {
        if self.json {
            print_json(progress);
        } else {
            print(&steps_table(&progress.steps));
        }
    }

    pub(crate) fn destroyed(&self, destroyed: &Destroyed) {
        if self.json {
            print_json(destroyed);
            return;
        }
        let mut text = String::from("\ndeleted\n");
        for removal in &destroyed.removed {
            text.push_str(&format!("  {}: {}\n", removal.what, removal.proof));
        }
        if destroyed.removed.is_empty() {
            text.push_str("  nothing: nothing was left\n");
        }
        text.push_str("\nkept\n");
        for kept in &destroyed.kept {
            text.push_str(&format!("  {}: {}\n", kept.what, kept.why));
        }
        print(&text);
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            print_json(&failure.to_json());
        } else {
            let _ = writeln!(std::io::stderr(), "{}", failure.report());
        }
    }

    pub(crate) fn interrupted(&self, signal: Signal) {
        let signal = signal.name();
        let text = format!(
            "interrupted by {signal}; run the same command again to go on where it stopped"
        );
        if self.json {
            let line =
                serde_json::json!({ "event": "interrupted", "signal": signal, "text": text });
            print_json(&line);
        } else {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// The servers of the Lab live in this program only, so no other tool reaches them.
    fn next_in_the_lab(&self, cluster: &str) -> String {
        let flags = &self.flags;
        format!(
            "  cargo run --example lungmen -- plan{flags}\n  \
             cargo run --example lungmen -- destroy{flags} --yes '{cluster}' --despite-applications\n"
        )
    }
}

fn next_with_real_tools(cluster: &Cluster) -> String {
    let output = cluster
        .output
        .as_deref()
        .unwrap_or(std::path::Path::new("."))
        .display();
    let node = cluster
        .machines
        .first()
        .map_or_else(String::new, |machine| machine.address.to_string());
    let server = cluster.endpoint.as_str().trim_end_matches('/');
    let mut text = format!(
        "  kubectl --kubeconfig '{output}/kubeconfig' get nodes\n  \
         talosctl --talosconfig '{output}/talosconfig' --nodes {node} health\n"
    );
    if cluster.argocd_cluster.is_some() {
        text.push_str(&format!("  argocd app list --cluster {server}\n"));
    }
    text
}

fn steps_table(steps: &[StepReport]) -> String {
    let mut text = format!(
        "\n{:<18} {:<13} {:>9}  result\n",
        "step", "outcome", "seconds"
    );
    for report in steps {
        text.push_str(&format!(
            "{:<18} {:<13} {:>9.1}  {}\n",
            report.step,
            report.outcome,
            report.duration.as_secs_f64(),
            report.summary
        ));
    }
    text
}

fn print(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}

fn print_json(value: &impl serde::Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
