//! What is printed at the end.

use std::io::Write as _;
use std::path::Path;

use console::Term;
use lungmen_bootstrap::{ArtifactFile, Cluster, Destroyed, PartialRun, Renewed, StepReport};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::lines::{self, Message, Tagged};
use crate::progress::text::{folded, width};
use crate::shell::quoted;
use crate::signals::Signal;
use crate::support::Written;

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

    /// For a wrong command line with `--json`.
    pub(crate) fn of_usage() -> Self {
        Self {
            json: true,
            is_simulated: false,
            flags: String::new(),
        }
    }

    /// The first line of a simulation says that it is one.
    pub(crate) fn begin(&self) {
        if self.is_simulated && self.json {
            print_json(&Message::Simulated {
                text: SIMULATED.to_owned(),
            });
        } else if self.is_simulated {
            print_folded(SIMULATED);
            print("\n");
        }
    }

    /// The last line as well. In JSON the result stays the last line.
    pub(crate) fn end(&self) {
        if self.is_simulated && !self.json {
            print("\n");
            print_folded(SIMULATED);
        }
    }

    /// The JSON Schema of the lines.
    pub(crate) fn schema(&self) {
        if let Ok(text) = serde_json::to_string_pretty(&lines::schema()) {
            print(&format!("{text}\n"));
        }
    }

    /// A result that prints itself; `event` is its tag in JSON.
    pub(crate) fn result(&self, event: &str, result: &(impl Serialize + std::fmt::Display)) {
        if self.json {
            print_json(&Tagged { event, result });
        } else {
            print(&result.to_string());
        }
    }

    pub(crate) fn success(&self, cluster: &Cluster) {
        if self.json {
            print_json(&Tagged {
                event: "complete",
                result: cluster,
            });
            return;
        }
        print_steps(&cluster.steps);
        print_files(&cluster.files);
        print_warnings(&cluster.warnings);
        // What differs from the specification is a warning: beside one, nothing is said to be done.
        if cluster.was_complete() {
            print(match cluster.warnings.is_empty() {
                true => "\neverything was already done\n",
                false => "\nnothing was changed; see the warnings\n",
            });
        }
        print("\nnext\n");
        let commands = match self.is_simulated {
            true => self.next_in_the_lab(cluster.name.as_str()),
            false => self.next_with_real_tools(cluster),
        };
        for command in commands {
            print(&format!("  {command}\n"));
        }
    }

    pub(crate) fn reached(&self, run: &PartialRun) {
        if self.json {
            print_json(&Tagged {
                event: "reached",
                result: run,
            });
            return;
        }
        print_steps(&run.steps);
        print_files(&run.files);
        print_warnings(&run.warnings);
    }

    /// What was deleted and what was kept; `event` is its tag in JSON.
    pub(crate) fn destroyed(&self, event: &str, destroyed: &Destroyed) {
        if self.json {
            print_json(&Tagged {
                event,
                result: destroyed,
            });
            return;
        }
        print("\ndeleted\n");
        for removal in &destroyed.removed {
            print_folded(&format!("  {}: {}", removal.what, removal.proof));
        }
        if destroyed.removed.is_empty() {
            print("  nothing: nothing was left\n");
        }
        print("\nkept\n");
        for kept in &destroyed.kept {
            print_folded(&format!("  {}: {}", kept.what, kept.why));
        }
    }

    pub(crate) fn renewed(&self, renewed: &Renewed) {
        if self.json {
            print_json(&Tagged {
                event: "renewed",
                result: renewed,
            });
            return;
        }
        for (title, list) in [("renewed", &renewed.renewed), ("kept", &renewed.kept)] {
            print(&format!("\n{title}\n"));
            for item in list {
                let until = item
                    .until
                    .map_or_else(String::new, |at| format!(", until {at}"));
                print_folded(&format!("  {}{until}: {}", item.what, item.why));
            }
            if list.is_empty() {
                print("  nothing\n");
            }
        }
    }

    /// A piece of the log of a node.
    ///
    /// # Errors
    /// Those of a reader that has gone.
    pub(crate) fn log(&self, piece: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if !self.json {
            out.write_all(piece)?;
            return match piece.ends_with(b"\n") {
                true => Ok(()),
                false => out.write_all(b"\n"),
            };
        }
        let text = String::from_utf8_lossy(piece).into_owned();
        let line = serde_json::to_string(&Message::Log { text })?;
        writeln!(out, "{line}")
    }

    pub(crate) fn support(&self, written: &Written) {
        if self.json {
            print_json(&Tagged {
                event: "support",
                result: written,
            });
            return;
        }
        print(&format!("0600  {}\n", quoted(written.path.display())));
        print_folded(
            "Known secrets of the cluster and everything that looks like one are replaced. Read it before you send it.",
        );
        for missing in &written.missing {
            print_folded(&format!("  missing: {missing}"));
        }
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            print_json(&Message::Failed(Box::new(failure.parts())));
            return;
        }
        print_warnings(failure.warnings());
        let _ = writeln!(std::io::stderr(), "{}", failure.report());
    }

    pub(crate) fn interrupted(&self, signal: Signal) {
        let signal = signal.name().to_owned();
        let text = format!(
            "interrupted by {signal}; run the same command again to go on where it stopped"
        );
        if self.json {
            print_json(&Message::Interrupted { signal, text });
        } else {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// The servers of the Lab live in this program only, so no other tool reaches them.
    fn next_in_the_lab(&self, cluster: &str) -> Vec<String> {
        let ours = |command: &str| self.ours(command);
        vec![
            ours("status"),
            ours("plan"),
            ours(&format!(
                "destroy --yes {} --despite-applications",
                quoted(cluster)
            )),
        ]
    }

    fn next_with_real_tools(&self, cluster: &Cluster) -> Vec<String> {
        let folder = cluster.output.as_deref().unwrap_or(Path::new("."));
        let node = cluster.machines.first().map(|machine| machine.address);
        let server = cluster.endpoint.as_str().trim_end_matches('/');
        let mut commands = vec![format!(
            "kubectl --kubeconfig {} get nodes",
            quoted(folder.join("kubeconfig").display())
        )];
        commands.extend(node.map(|node| {
            let talosconfig = quoted(folder.join("talosconfig").display());
            format!("talosctl --talosconfig {talosconfig} --nodes {node} health")
        }));
        if cluster.argocd_cluster.is_some() {
            commands.push(format!("argocd app list --cluster {server}"));
        }
        commands.push(self.ours("status"));
        commands
    }

    fn ours(&self, command: &str) -> String {
        format!("cargo run --example lungmen -- {command}{}", self.flags)
    }
}

fn print_steps(steps: &[StepReport]) {
    print("\n");
    for report in steps {
        let seconds = report.duration.as_secs_f64();
        print_folded(&format!(
            "{:<18} {:<13} {seconds:>6.1} s  {}",
            report.step, report.outcome, report.summary
        ));
    }
}

fn print_files(files: &[ArtifactFile]) {
    if files.is_empty() {
        return;
    }
    print("\nfiles\n");
    for file in files {
        print(&format!(
            "  {:04o}  {}\n",
            file.mode,
            quoted(file.path.display())
        ));
    }
}

fn print_warnings(warnings: &[String]) {
    let mut seen = Vec::new();
    for warning in warnings.iter().filter(|warning| !warning.is_empty()) {
        if seen.is_empty() {
            print("\nwarnings\n");
        }
        if !seen.contains(&warning) {
            print_folded(&format!("  ! {warning}"));
            seen.push(warning);
        }
    }
}

/// A text on as many lines as the screen needs.
fn print_folded(text: &str) {
    print(&format!("{}\n", folded(text, width(&Term::stdout()))));
}

fn print(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}

fn print_json(value: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
