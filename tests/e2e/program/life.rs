//! The life of a cluster, one process after the other.

use super::{Ended, Place};

impl Place {
    /// Writes the specification once more, with changes, beside copies of the files that it names.
    pub(super) fn changed(&mut self, edits: &[(&str, &str)]) {
        let examples = self.spec.parent().unwrap().to_owned();
        let mut text = std::fs::read_to_string(&self.spec).unwrap();
        for (from, to) in edits {
            assert!(text.contains(from), "{from:?} is not in the specification");
            text = text.replace(from, to);
        }
        let beside = self.folder.path().join("spec");
        if !beside.exists() {
            copy(&examples, &beside);
        }
        self.spec = beside.join("changed.yaml");
        std::fs::write(&self.spec, text).unwrap();
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_file()
            && entry.path().extension().is_some_and(|it| it == "yaml")
        {
            std::fs::copy(entry.path(), target).unwrap();
        } else if entry.file_name() == "ha" {
            copy(&entry.path(), &target);
        }
    }
}

/// Whether a plan says that nothing of the cluster exists.
fn is_empty(plan: &Ended) -> bool {
    let plan = plan.last_line();
    let steps = plan["steps"].as_array().unwrap();
    let machines = steps.iter().find(|step| step["step"] == "machine").unwrap();
    let items = machines["items"].as_array().unwrap();
    !items.is_empty() && items.iter().all(|item| item["action"] == "create")
}

/// run → plan: nothing → change → plan: something → run → plan: nothing → destroy → nothing exists.
fn live_and_die(mut place: Place, cluster: &str) {
    let destroy = ["destroy", "--yes", cluster, "--despite-applications"];
    let labels = format!("clusterName: {cluster}\n  labels: [stage=test]");
    assert!(is_empty(&place.run(&["plan", "--json"]).with(2)));
    let first = place.run(&["run"]).with(0);
    for expected in ["files\n", "0600  '", "next\n"] {
        assert!(first.stdout().contains(expected), "{}", first.stdout());
    }
    let again = place.run(&["run"]).with(0);
    assert!(
        again.stdout().contains("everything was already done"),
        "{}",
        again.stdout()
    );
    place.run(&["plan"]).with(0);
    place.run(&["status"]).with(0);
    place.run(&["doctor"]).with(0);

    place.changed(&[(&format!("clusterName: {cluster}"), &labels)]);
    place.run(&["plan"]).with(2);
    place.run(&["run"]).with(0);
    place.run(&["plan"]).with(0);

    place.run(&destroy[..3]).with(1);
    place.run(&destroy).with(0);
    assert!(is_empty(&place.run(&["plan", "--json"]).with(2)));
    let nothing = place.run(&destroy).with(0);
    assert!(
        nothing.stdout().contains("nothing was left"),
        "{}",
        nothing.stdout()
    );
}

#[test]
fn one_machine_lives_changes_and_dies() {
    live_and_die(Place::of("lungmen.yaml"), "lungmen.akn");
}

#[test]
fn three_control_planes_and_two_workers_live_change_and_die() {
    live_and_die(Place::of("ha.yaml"), "ha.akn");
}

#[test]
fn a_worker_that_left_the_specification_is_removed_by_scale() {
    let mut place = Place::of("ha.yaml");
    place.run(&["run"]).with(0);
    let text = std::fs::read_to_string(&place.spec).unwrap();
    // The last machine of the file, a worker.
    let start = text.rfind("\n  - name:").unwrap();
    let end = start + 1 + text[start + 1..].find("\n\n").unwrap();
    let machine = text[start..end].to_owned();
    assert!(machine.contains("role: worker"), "{machine}");
    place.changed(&[(machine.as_str(), "")]);
    let plan = place.run(&["plan", "--json"]).last_line();
    assert_eq!(plan["removed"].as_array().unwrap().len(), 1, "{plan}");

    let scaled = place.run(&["scale", "--yes", "ha.akn", "--json"]).with(0);

    let lines = scaled.lines();
    let removed = lines.iter().find(|line| line["event"] == "scaled").unwrap();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 2, "{removed}");
    assert_eq!(scaled.last_line()["event"], "complete");
    let plan = place.run(&["plan", "--json"]).with(0).last_line();
    assert_eq!(plan["removed"].as_array().unwrap().len(), 0, "{plan}");
}
