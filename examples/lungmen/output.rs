//! What is printed at the end.

use std::io::Write as _;

use lungmen_bootstrap::{Cluster, PartialRun, Plan, StepReport};

use crate::failure::Failure;

pub(crate) fn plan(plan: &Plan, json: bool) {
    if json {
        print_json(plan);
    } else {
        print(&plan.to_string());
    }
}

pub(crate) fn success(cluster: &Cluster, json: bool) {
    if json {
        print_json(cluster);
        return;
    }
    let mut text = steps_table(&cluster.steps);
    text.push_str("\nfiles\n");
    for file in &cluster.files {
        text.push_str(&format!("  {:o}  {}\n", file.mode, file.path.display()));
    }
    if cluster.was_complete() {
        text.push_str("\neverything was already done\n");
    }
    text.push_str(&next_commands(cluster));
    print(&text);
}

pub(crate) fn reached(progress: &PartialRun, json: bool) {
    if json {
        print_json(progress);
    } else {
        print(&steps_table(&progress.steps));
    }
}

pub(crate) fn failure(failure: &Failure, json: bool) {
    let text = failure.report();
    if json {
        print_json(&serde_json::json!({ "event": "failed", "error": text }));
    } else {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

pub(crate) fn interrupted() {
    let _ = writeln!(
        std::io::stderr(),
        "interrupted; run the same command again to go on where it stopped"
    );
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

fn next_commands(cluster: &Cluster) -> String {
    let output = cluster
        .output
        .as_deref()
        .unwrap_or(std::path::Path::new("."))
        .display();
    let node = cluster
        .machines
        .first()
        .map_or_else(String::new, |machine| machine.address.to_string());
    format!(
        "\nnext\n  \
         kubectl --kubeconfig {output}/kubeconfig get nodes\n  \
         talosctl --talosconfig {output}/talosconfig --nodes {node} health\n  \
         argocd app list --cluster {}\n",
        cluster.endpoint.as_str().trim_end_matches('/')
    )
}

fn print(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}

fn print_json(value: &impl serde::Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
