//! The guide of lungmen-bootstrap says what is true: its grants, policies, files, flags and lists are those of the code.

use std::collections::{BTreeMap, BTreeSet};

use lungmen_bootstrap::machine::ConfigDelivery;
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::mock::openbao::OpenBaoMock;
use lungmen_bootstrap::openbao::{Client, Credentials};
use lungmen_bootstrap::snippets::DirectorySnippets;
use lungmen_bootstrap::store::{Document, OpenBaoStore, SecretStore as _};
use lungmen_bootstrap::{Check, ErrorKind, Spec, StepId};
use proxmox_client::id::StorageName;
use proxmox_client::mock::{Acl, MockStorage, PveMock};
use secrecy::SecretString;

use crate::support::{World, spec};

fn page(name: &str) -> String {
    let path = crate::root().join("lungmen-bootstrap/docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The lines of all fenced blocks of one language.
fn fenced(page: &str, language: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in page.lines().map(str::trim) {
        if let Some(fence) = line.strip_prefix("```") {
            inside = !inside && fence == language;
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The value behind an option of a command line, without quotes.
fn option(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("{name} "))?;
    let value = match rest.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next()?,
        None => rest.split(' ').next()?,
    };
    Some(value.to_owned())
}

/// Grants as the page makes them: `(path, privilege)` for one sort of principal.
struct Grants {
    of_users: BTreeSet<(String, String)>,
    of_tokens: BTreeSet<(String, String)>,
}

impl Grants {
    /// Reads `pveum` lines; `guest_agent` chooses between the two lines for Proxmox VE 8 and 9.
    fn read(guest_agent: &str) -> Self {
        let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut grants = Self {
            of_users: BTreeSet::new(),
            of_tokens: BTreeSet::new(),
        };
        for line in fenced(&page("proxmox-role.md"), "console") {
            if let Some(role) = option(&line, "pveum role add") {
                let privileges = option(&line, "--privs").unwrap();
                let is_other = role == "LungmenVM" && !privileges.contains(guest_agent);
                if !is_other {
                    let list = privileges.split(',').map(str::to_owned).collect();
                    roles.insert(role, list);
                }
            } else if let Some(path) = option(&line, "pveum acl modify") {
                // The names of the page are those of another site than the example.
                let path = path
                    .replace("local-lvm", "nvme-lvm")
                    .replace("vmbr0", "vmbr1");
                let role = option(&line, "--roles").unwrap();
                let entries = roles[&role].iter().map(|p| (path.clone(), p.clone()));
                if line.contains("--tokens") {
                    grants.of_tokens.extend(entries);
                } else {
                    grants.of_users.extend(entries);
                }
            }
        }
        grants
    }

    /// Without one of them.
    fn acl(&self, left_out: Option<&(String, String)>) -> Acl {
        let kept = self
            .of_tokens
            .iter()
            .filter(|grant| Some(*grant) != left_out);
        kept.fold(Acl::none(), |acl, (path, privilege)| {
            acl.grant(path, &[privilege.as_str()])
        })
    }
}

async fn world(version: &str, acl: Acl) -> World {
    let proxmox = PveMock::builder()
        .version(version)
        .token("lungmen@pve!ci", "secret", acl);
    World::with(Lab::builder().proxmox(proxmox)).await
}

#[test]
fn user_and_token_get_the_same_grants() {
    let grants = Grants::read("VM.GuestAgent.Audit");

    assert!(grants.of_tokens.len() > 15);
    assert_eq!(grants.of_users, grants.of_tokens);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_role_is_enough_for_a_whole_run() {
    for (version, agent) in [("9.1.2", "VM.GuestAgent.Audit"), ("8.4.1", "VM.Monitor")] {
        let world = world(version, Grants::read(agent).acl(None)).await;

        let run = world.run().await;

        assert!(run.is_ok(), "{version}: {}", run.unwrap_err().report());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_role_is_enough_for_user_data() {
    let storage = |name| StorageName::new(name).unwrap();
    for (version, agent) in [("9.1.2", "VM.GuestAgent.Audit"), ("8.4.1", "VM.Monitor")] {
        let folder = tempfile::tempdir().unwrap();
        let shared = MockStorage::directory(storage("shared"), &["snippets"]);
        let proxmox = PveMock::builder()
            .version(version)
            .token("lungmen@pve!ci", "secret", Grants::read(agent).acl(None))
            .storage(MockStorage::directory(storage("local"), &["iso"]))
            .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
            .storage(shared.snippets_in(folder.path()));
        let world = World::with(Lab::builder().proxmox(proxmox)).await;
        let mut spec = spec();
        spec.placement = spec.placement.snippet_storage("shared");
        let machine = spec.machines.remove(0);
        spec.machines = vec![machine.config_delivery(ConfigDelivery::UserData)];
        let snippets = DirectorySnippets::new(folder.path());
        let bootstrap = world.builder_of(spec).snippets("shared", snippets).build();

        let run = bootstrap.unwrap().run().await;

        assert!(run.is_ok(), "{version}: {}", run.unwrap_err().report());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_asks_for_every_documented_privilege() {
    // These make work easier; a run does without them.
    let optional = ["Sys.AccessNetwork", "SDN.Audit"];
    // These are for user data only.
    let for_user_data = |path: &str, privilege: &str| {
        path == "/storage/shared" || privilege == "VM.Config.Cloudinit"
    };
    let grants = Grants::read("VM.GuestAgent.Audit");
    for grant in &grants.of_tokens {
        let world = world("9.1.2", grants.acl(Some(grant))).await;

        // A run that ends before it needs a server does not ask it.
        let result = world.run_until(StepId::Image).await;

        let (path, privilege) = grant;
        if optional.contains(&privilege.as_str()) || for_user_data(path, privilege) {
            assert!(result.is_ok(), "{path} {privilege}");
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{path} {privilege}");
        assert!(
            error.report().contains(privilege.as_str()),
            "{}",
            error.report()
        );
        assert!(world.lab.proxmox().volumes().is_empty());
    }
}

#[tokio::test]
async fn the_documented_policy_is_enough_for_the_store() {
    let token = SecretString::from("s.documented");
    let mut server = OpenBaoMock::builder().token(&token, "lungmen");
    let rules = fenced(&page("openbao.md"), "hcl");
    for rule in &rules {
        let pattern = option(rule, "path").unwrap();
        let (_, list) = rule.split_once('[').unwrap();
        let (list, _) = list.split_once(']').unwrap();
        let capabilities: Vec<String> = list
            .split(", ")
            .map(|word| word.trim_matches('"').to_owned())
            .collect();
        let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        server = server.policy("lungmen", &pattern, &capabilities);
    }
    assert_eq!(rules.len(), 4);
    let server = server.start().await;
    let client = Client::builder(server.endpoint(), Credentials::Token(token))
        .build()
        .unwrap();
    let store = OpenBaoStore::new(&client, "secret", "talos/lab.example");

    store.preflight().await.unwrap();

    for document in [Document::Record, Document::Lease] {
        let entries = [("key".to_owned(), SecretString::from("value"))];
        let entries = entries.into_iter().collect();
        let first = store.create(document, &entries).await.unwrap();
        store.replace(document, &entries, &first).await.unwrap();
        assert!(store.read(document).await.unwrap().is_some());
        assert_eq!(store.history(document).await.unwrap().unwrap().len(), 2);
    }
}

#[test]
fn every_step_and_every_kind_has_its_place_in_the_page_about_failures() {
    let page = page("failures.md");
    for step in StepId::ALL {
        assert!(page.contains(&format!("\n### `{step}`\n")), "{step}");
    }
    for kind in ErrorKind::ALL {
        let name = serde_json::to_value(kind).unwrap();
        let name = name.as_str().unwrap();
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}

#[test]
fn every_check_of_the_doctor_is_in_its_page_with_its_title() {
    let page = page("doctor.md");
    let row = |check: &Check| format!("| `{}` | {} |", check.id(), check.title());
    let written: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();

    let checks: Vec<String> = Check::ALL.iter().map(row).collect();

    assert_eq!(written, checks);
}

#[test]
fn the_specification_of_the_guide_is_valid() {
    let text = page("first-cluster.md");
    let (_, rest) = text.split_once("```yaml\n").unwrap();
    let (yaml, _) = rest.split_once("```").unwrap();
    let indent = yaml.len() - yaml.trim_start().len();
    let yaml: Vec<&str> = yaml
        .lines()
        .map(|line| line.get(indent..).unwrap_or(""))
        .collect();

    let no_files = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let spec = Spec::parse(&yaml.join("\n"), no_files).unwrap();

    spec.bootstrap().outline().unwrap();
}

#[test]
fn flags_and_variables_of_the_guide_are_those_of_the_program() {
    let program: String = crate::files("examples/lungmen", &[".rs"])
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for path in crate::files("lungmen-bootstrap/docs", &[".md"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in fenced(&text, "console") {
            let words = line.split([' ', '=', '`']);
            if line.contains("--example lungmen") {
                for flag in words.clone().filter_map(|word| word.strip_prefix("--")) {
                    let field = flag.replace('-', "_");
                    let known = flag.is_empty()
                        || flag == "example"
                        || program.contains(&format!(" {field}:"));
                    assert!(known, "{}: --{flag}", path.display());
                }
            }
            if line.starts_with("$ export") {
                for name in
                    words.filter(|word| word.ends_with("TOKEN") || word.starts_with("PROXMOX"))
                {
                    assert!(
                        program.contains(&format!("\"{name}\"")),
                        "{}: {name}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn every_page_is_in_the_documentation_and_in_the_readme() {
    let guide =
        std::fs::read_to_string(crate::root().join("lungmen-bootstrap/src/guide.rs")).unwrap();
    let readme =
        std::fs::read_to_string(crate::root().join("lungmen-bootstrap/README.md")).unwrap();
    for path in crate::files("lungmen-bootstrap/docs", &[".md"]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(guide.contains(&format!("docs/{name}")), "{name}");
        assert!(readme.contains(&format!("(docs/{name})")), "{name}");
    }
}

#[test]
fn the_example_of_the_package_is_the_example_of_the_repository() {
    for name in [
        "lungmen.yaml",
        "lungmen-akn-01.patch-config.yaml",
        "lungmen-akn-01.volumes.yaml",
    ] {
        let read =
            |folder: &str| std::fs::read_to_string(crate::root().join(folder).join(name)).unwrap();
        assert_eq!(
            read("lungmen-bootstrap/docs/example"),
            read("examples"),
            "{name}"
        );
    }
}
