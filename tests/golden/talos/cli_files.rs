//! The example `machine_config`: every command that writes treats files, links, pipes and devices the same way.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::cli::{CLUSTER, ENDPOINT, data, program, refusal, run, stdout, text};

/// A command that writes one file.
struct Writer {
    name: &'static str,
    /// The arguments that write to a path.
    arguments: fn(&str) -> Vec<String>,
    /// What the text begins with.
    start: &'static str,
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect()
}

fn generated(kind: &str, path: &str) -> Vec<String> {
    let secrets = format!("--with-secrets={}", data("secrets.yaml").display());
    let kind = format!("--output-types={kind}");
    owned(&[
        "gen-config",
        CLUSTER,
        ENDPOINT,
        &secrets,
        &kind,
        "--force",
        "--output",
        path,
    ])
}

const WRITERS: [Writer; 6] = [
    Writer {
        name: "gen-secrets",
        // Up to v1.6 there is no RSA key to search for.
        arguments: |path| owned(&["gen-secrets", "--talos-version=v1.6", "--force", "-o", path]),
        start: "cluster:\n",
    },
    Writer {
        name: "gen-secrets from a configuration",
        arguments: |path| {
            let config = data("generate/default.v1.10.7.v1.10.controlplane.yaml");
            let config = format!("--from-controlplane-config={}", config.display());
            owned(&["gen-secrets", &config, "--force", "-o", path])
        },
        start: "cluster:\n",
    },
    Writer {
        name: "gen-config controlplane",
        arguments: |path| generated("controlplane", path),
        start: "version: v1alpha1\n",
    },
    Writer {
        name: "gen-config talosconfig",
        arguments: |path| generated("talosconfig", path),
        start: "context: lungmen.akn\n",
    },
    Writer {
        name: "patch",
        arguments: |path| {
            let config = data("validate/worker.yaml");
            let patch = "machine: {network: {hostname: a}}";
            owned(&[
                "patch",
                &config.display().to_string(),
                "--patch",
                patch,
                "-o",
                path,
            ])
        },
        start: "version: v1alpha1\n",
    },
    Writer {
        name: "talosconfig add",
        arguments: |path| owned(&["talosconfig", "add", "a", &format!("--talosconfig={path}")]),
        start: "context:",
    },
];

impl Writer {
    fn write(&self, path: &Path) {
        let output = run((self.arguments)(path.to_str().unwrap()));
        assert!(
            output.status.success(),
            "{}: {}",
            self.name,
            text(&output.stderr)
        );
    }

    fn check(&self, written: &str) {
        assert!(written.starts_with(self.start), "{}: {written}", self.name);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn parents_are_made_and_files_are_private() {
    for writer in &WRITERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file.yaml");

        writer.write(&path);

        writer.check(&fs::read_to_string(&path).unwrap());
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", writer.name);
        assert_eq!(
            names(path.parent().unwrap()),
            ["file.yaml"],
            "{}",
            writer.name
        );
    }
}

#[test]
fn files_are_replaced_as_a_whole() {
    for writer in &WRITERS {
        let folder = tempfile::tempdir().unwrap();
        let (path, held) = (folder.path().join("file.yaml"), folder.path().join("held"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // Who has the former file open goes on to see the former content.
        fs::hard_link(&path, &held).unwrap();

        writer.write(&path);

        writer.check(&fs::read_to_string(&path).unwrap());
        assert_eq!(fs::read_to_string(&held).unwrap(), "", "{}", writer.name);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", writer.name);
        assert_eq!(names(folder.path()).len(), 2, "{}", writer.name);
    }
}

#[test]
fn a_link_stays_a_link() {
    for writer in &WRITERS {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "").unwrap();
        symlink(&target, &link).unwrap();

        writer.write(&link);

        assert!(
            link.symlink_metadata().unwrap().is_symlink(),
            "{}",
            writer.name
        );
        writer.check(&fs::read_to_string(&target).unwrap());
    }
}

#[test]
fn shared_memory_is_a_file_system() {
    if !Path::new("/dev/shm").is_dir() {
        return;
    }
    for writer in &WRITERS {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path().join("file.yaml");
        fs::write(&path, "").unwrap();
        let before = path.metadata().unwrap().ino();

        writer.write(&path);

        writer.check(&fs::read_to_string(&path).unwrap());
        assert_ne!(path.metadata().unwrap().ino(), before, "{}", writer.name);
    }
}

#[test]
fn devices_stay_devices() {
    let before = Path::new("/dev/null").metadata().unwrap();

    for writer in WRITERS
        .iter()
        .filter(|writer| writer.name != "talosconfig add")
    {
        writer.write(Path::new("/dev/null"));
    }

    let after = Path::new("/dev/null").metadata().unwrap();
    assert!(after.file_type().is_char_device());
    assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
}

#[test]
fn standard_output_is_written_to_under_all_its_names() {
    for writer in WRITERS
        .iter()
        .filter(|writer| writer.name != "talosconfig add")
    {
        for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            let output = run((writer.arguments)(name));
            writer.check(&text(&output.stdout));

            // Also where it leads to a regular file, which stays the same file.
            let file = tempfile::NamedTempFile::new().unwrap();
            let before = file.as_file().metadata().unwrap().ino();
            let status = Command::new(program())
                .args((writer.arguments)(name))
                .stdout(file.reopen().unwrap())
                .stderr(Stdio::null())
                .status();
            assert!(status.unwrap().success(), "{} {name}", writer.name);
            writer.check(&fs::read_to_string(file.path()).unwrap());
            assert_eq!(file.path().metadata().unwrap().ino(), before);
        }
    }
}

#[test]
fn a_named_pipe_is_written_to() {
    for writer in WRITERS
        .iter()
        .filter(|writer| writer.name != "talosconfig add")
    {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let mut child = Command::new(program())
            .args((writer.arguments)(pipe.to_str().unwrap()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();

        let mut written = String::new();
        let mut reader = fs::File::open(&pipe).unwrap();
        reader.read_to_string(&mut written).unwrap();

        assert!(child.wait().unwrap().success(), "{}", writer.name);
        writer.check(&written);
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }
}

#[test]
fn what_cannot_be_written_is_named_and_left_alone() {
    for writer in &WRITERS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        let below = file.join("file.yaml");

        let arguments = (writer.arguments)(below.to_str().unwrap());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let refused = refusal(&arguments);

        assert!(
            refused.contains("not a directory"),
            "{}: {refused}",
            writer.name
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = generated("worker", folder.path().to_str().unwrap());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert!(refusal(&arguments).contains("is a directory"));
    assert!(names(folder.path()).is_empty());
    // A command that writes nothing leaves nothing behind.
    assert_eq!(
        stdout(&[
            "talosconfig",
            "contexts",
            &format!("--talosconfig={}/t", folder.path().display())
        ])
        .lines()
        .count(),
        1
    );
    assert!(names(folder.path()).is_empty());
}
