//! The program `lungmen` as processes: its whole life, how it ends, and what it prints for people and for programs.

#![cfg(unix)]

mod guide;
mod life;
mod lines;
mod live;
mod page;
mod signals;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program. `cargo test` builds it beside the tests; a test does not run cargo itself.
pub(super) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/lungmen");
    assert!(
        program.exists(),
        "{} is not built: run `cargo test`, or `cargo build --example lungmen` first",
        program.display()
    );
    program
}

/// A folder for the files of a simulated cluster, and the file that describes it.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) spec: PathBuf,
}

impl Place {
    /// With a specification of the folder `examples`.
    pub(super) fn of(example: &str) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        Self {
            folder: tempfile::tempdir().unwrap(),
            spec: examples.join(example),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .arg("--output")
            .arg(self.folder.path().join("out"))
            .arg("--config")
            .arg(&self.spec);
        command
    }

    /// Runs a command to its end, at the pace of tests.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        Ended::of(command.arg("--fast"), arguments)
    }
}

/// A command that has ended.
pub(super) struct Ended {
    command: String,
    output: Output,
}

impl Ended {
    pub(super) fn of(command: &mut Command, arguments: &[&str]) -> Self {
        Self {
            command: arguments.join(" "),
            output: command.output().unwrap(),
        }
    }

    #[track_caller]
    pub(super) fn with(self, code: i32) -> Self {
        let found = self.output.status.code();
        assert_eq!(found, Some(code), "{}\n{}", self.command, self.everything());
        self
    }

    pub(super) fn everything(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr())
    }

    pub(super) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// The lines of a command with `--json`.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = self.stdout();
        let lines = text.lines();
        lines
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    pub(super) fn last_line(&self) -> Value {
        self.lines().pop().unwrap()
    }
}
