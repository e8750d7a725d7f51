//! The recipes of `tests/recipes` make the committed data: applied to what they made, they change nothing.

use std::collections::BTreeMap;
use std::path::Path;

use factory_client::TalosVersion;
use factory_client::mock::FactoryMock;
use factory_client::schematic::Encoder;
use protobuf::{Definitions, Source};
use serde_json::Value;
use tempfile::TempDir;

#[path = "../recipes/argocd.rs"]
mod argocd;
#[path = "../recipes/catalogue.rs"]
mod catalogue;
#[path = "../recipes/factory_vectors.rs"]
mod factory_vectors;
#[path = "../recipes/files.rs"]
mod files;
#[allow(dead_code, reason = "a part of it is for the command")]
#[path = "../recipes/json.rs"]
mod json;
#[allow(dead_code, reason = "a part of it is for the command")]
#[path = "../recipes/protobuf/mod.rs"]
mod protobuf;
#[path = "../recipes/proxmox.rs"]
mod proxmox;
#[path = "../recipes/proxmox_exchanges.rs"]
mod proxmox_exchanges;
#[allow(dead_code, reason = "a part of it is for the command")]
#[path = "../recipes/talos_definitions.rs"]
mod talos_definitions;

fn read(path: &str) -> String {
    std::fs::read_to_string(crate::root().join(path)).unwrap()
}

#[test]
fn the_excerpts_of_argo_cd_hold_what_their_operations_need() {
    for version in ["2.14", "3.5"] {
        let committed = read(&format!("tests/data/argocd/swagger-{version}.json"));

        let made = argocd::excerpt(&committed, &committed, &[]).unwrap();

        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(json(&made), json(&committed), "{version}");
    }
}

#[test]
fn the_customisations_of_argo_cd_are_those_of_a_recorded_answer() {
    let made = argocd::overrides(&read("tests/data/argocd/recorded-3.5.1.json")).unwrap();

    let committed = read("argocd-client/src/mock/data/resource-overrides.json");
    assert_eq!(made, committed);
}

#[test]
fn an_operation_that_the_source_lacks_is_an_error() {
    let committed = read("tests/data/argocd/swagger-3.5.json");
    let add = ["GET /api/v1/nothing".to_owned()];

    let error = argocd::excerpt(&committed, &committed, &add).unwrap_err();

    assert!(error.to_string().contains("/api/v1/nothing"));
}

#[test]
fn the_contracts_of_proxmox_ve_are_excerpts_of_themselves() {
    for version in ["8", "9"] {
        let committed = read(&format!(
            "proxmox-client/src/mock/contract/pve-{version}.json"
        ));

        let made = proxmox::excerpt(&committed, &committed, &[], None).unwrap();

        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(json(&made), json(&committed), "{version}");
    }
}

#[test]
fn the_exchanges_written_by_hand_have_answers_that_were_recorded() {
    let recordings = ["9.2.11", "8.4.21"].map(|release| {
        (
            release,
            read(&format!("tests/data/proxmox/proxmox-{release}.json")),
        )
    });
    let exchanges = read("tests/data/proxmox/exchanges.json");

    let found = proxmox_exchanges::recorded(&exchanges, &recordings).unwrap();

    assert_eq!(found.len(), exchanges.matches("\"name\"").count());
    let other = exchanges.replace("VM 104 already exists", "VM 104 is there");
    assert!(proxmox_exchanges::recorded(&other, &recordings).is_err());
}

#[test]
fn the_types_of_talos_are_read_from_what_talosctl_prints() {
    let printed = |aliases: &str, sensitivity: &str| {
        format!(
            "node: 10.0.2.10\nmetadata:\n  namespace: meta\n  type: ResourceDefinitions.meta.cosi.dev\n  id: disks.block.talos.dev\n\
             spec:\n  type: Disks.block.talos.dev\n  displayType: Disk\n  defaultNamespace: runtime\n  aliases: [{aliases}]\n  \
             allAliases: [disks]\n  printColumns:\n    - name: Read Only\n      jsonPath: '{{.readonly}}'\n{sensitivity}\
             ---\nnode: 10.0.2.10\nmetadata:\n  type: Namespaces.meta.cosi.dev\n  id: runtime\nspec:\n  description: \"\"\n"
        )
    };
    let releases = [
        (10, printed("disk", "")),
        (11, printed("disk", "")),
        (12, printed("disk, d", "  sensitivity: sensitive\n")),
        (13, printed("disk", "")),
    ];

    let table = talos_definitions::table(&releases).unwrap();

    let line = "Disks.block.talos.dev|Disk|runtime|disk|Read Only={.readonly}";
    let sensitive = line.replace("|disk|", "|disk,d|");
    let lines: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "10-13|namespace|runtime".to_owned(),
            format!("10-11|type|{line}"),
            format!("12-12|secret|{sensitive}"),
            format!("13-13|type|{line}"),
        ]
    );
}

#[test]
fn a_contract_is_made_from_the_tree_of_the_documentation() {
    let source = r#"const apiSchema = [ { "path": "/nodes", "info": { "GET": {
        "method": "GET", "name": "index", "description": "Cluster node index.", "returns": {},
        "parameters": { "additionalProperties": 0, "properties": {
            "type": { "type": "string", "optional": 1, "description": "Only this type.", "typetext": "<string>" },
            "description": { "type": "string", "description": "A parameter of this name." } } },
        "permissions": { "check": ["perm", "/", ["Sys.Audit"]], "description": "Prose." } } },
        "children": [ { "path": "/nodes/{node}", "info": { "POST": { "name": "add", "allowtoken": 0, "parameters": {} } } } ]
    } ] ; let more = {};"#;
    let current =
        r#"{"$meta": {"version": "1", "revision": "a"}, "$formats": {}, "GET /nodes": {}}"#;
    let origin = proxmox::Origin {
        version: "2".to_owned(),
        revision: "b".to_owned(),
    };
    let add = ["POST /nodes/{node}".to_owned()];

    let made = proxmox::excerpt(source, current, &add, Some(&origin)).unwrap();

    let expected = r#"{"$meta": {"version": "2", "revision": "b"}, "$formats": {},
        "GET /nodes": {"name": "index",
            "parameters": {"type": {"type": "string", "optional": 1}, "description": {"type": "string"}},
            "permissions": {"check": ["perm", "/", ["Sys.Audit"]]}},
        "POST /nodes/{node}": {"name": "add", "parameters": {}, "allowtoken": 0}}"#;
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(&made), json(expected));
}

#[tokio::test]
async fn the_catalogue_of_a_factory_is_the_embedded_one() {
    let factory = FactoryMock::start().await;
    let client = factory.client();
    // The mock lists the embedded catalogue, version by version.
    let versions = client.versions().await.unwrap();

    let (extensions, overlays) = catalogue::collect(&client, &versions).await.unwrap();

    let newest = versions.last().unwrap();
    let committed: String = read("factory-client/data/extensions.txt")
        .lines()
        .filter(|line| {
            let since = TalosVersion::parse(line.split_once(' ').unwrap().0).unwrap();
            newest.is_at_least(since.major(), since.minor())
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(extensions, committed);
    assert_eq!(overlays, read("factory-client/data/overlays.txt"));
}

/// A copy of a folder of the repository.
fn copy(folder: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(&crate::root().join(folder), copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&copy).unwrap();
            copy_into(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

/// The texts of the files below a folder, by their places in it.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, texts);
            } else {
                let place = path.strip_prefix(root).unwrap().to_str().unwrap();
                texts.insert(place.to_owned(), std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

#[test]
fn proto_files_that_are_their_own_reference_stay_as_they_are() {
    for folder in ["talos-client/proto", "argocd-client/proto"] {
        let copy = copy(folder);
        let committed = texts(copy.path());
        let reference = Definitions::read(&[copy.path().to_owned()]).unwrap();
        let source = Source {
            reference: &reference,
            packages: &[],
            add: &[],
        };

        let made = protobuf::rewrite_folder(copy.path(), &source).unwrap();

        assert_eq!(made.left_out, Vec::<String>::new());
        assert_eq!(texts(copy.path()), committed);
        if let Some(wire) = committed.get("wire.json") {
            assert_eq!(protobuf::wire(&reference, &reference).unwrap(), *wire);
        }
    }
}

fn definitions(text: &str) -> Definitions {
    Definitions::parse(&[("small.proto".to_owned(), text.to_owned())]).unwrap()
}

/// A file, and the reference that has other numbers, another package and more of everything.
const OURS: &str = r#"syntax = "proto3";

package small;

service Machines {
  // Kept.
  rpc Start(Request) returns (stream Reply);
}

message Request {
  string name = 1;
  optional int32 count = 2;
}

message Reply {}

enum Mode {
  FAST = 0;
}
"#;
const THEIRS: &str = r#"syntax = "proto3";
package com.example.small;
import "elsewhere.proto";
service Machines {
  rpc Start(stream Request) returns (Reply);
  rpc Stop(com.example.small.Request) returns (Reply);
}
message Request { repeated string name = 7; int64 count = 2; map<string, Extra> extras = 3; Mode mode = 4; }
message Reply { bool done = 1; }
message Extra { string text = 1; }
enum Mode { SLOW = 0; FAST = 1; }
"#;

#[test]
fn a_proto_file_takes_numbers_types_and_what_is_added_from_the_reference() {
    let ours = definitions(OURS);
    let add = [
        "small.Extra",
        "small.Request.extras",
        "small.Reply.done",
        "/small.Machines/Stop",
    ];
    let source = Source {
        reference: &definitions(THEIRS),
        packages: &[("small", &["com.example.small"])],
        add: &add.map(str::to_owned),
    };

    let made = protobuf::rewritten(OURS, &ours, &source).unwrap();

    let expected = r#"syntax = "proto3";

package small;

service Machines {
  // Kept.
  rpc Start(stream Request) returns (Reply);
  rpc Stop(.small.Request) returns (.small.Reply);
}

message Request {
  repeated string name = 7;
  optional int64 count = 2;
  map<string, .small.Extra> extras = 3;
}

message Reply {
  bool done = 1;
}

enum Mode {
  FAST = 1;
}

message Extra {
  string text = 1;
}
"#;
    assert_eq!(made.text, expected);
    assert_eq!(made.left_out, ["small.Request.mode", "small.Mode.SLOW"]);
}

#[test]
fn a_field_that_the_reference_lacks_is_an_error() {
    let ours = definitions(OURS);
    let source = Source {
        reference: &definitions(&OURS.replace("count", "amount")),
        packages: &[],
        add: &[],
    };

    let error = protobuf::rewritten(OURS, &ours, &source).err().unwrap();

    assert_eq!(error.to_string(), "small.Request has no field count");
}

#[test]
fn methods_are_listed_with_the_releases_that_have_them() {
    let service = |methods: &[&str]| {
        let methods = methods
            .iter()
            .map(|name| format!("rpc {name}(A) returns (A);"));
        let text = format!(
            "syntax = \"proto3\"; package p; message A {{}} service S {{ {} }}",
            methods.collect::<String>()
        );
        definitions(&text)
    };
    let releases = [
        (10, service(&["Old", "Same"])),
        (11, service(&["Same"])),
        (12, service(&["New", "Same"])),
    ];

    let list = protobuf::methods(&releases);

    let expected = r#"{
 "/p.S/New": {"since": 12},
 "/p.S/Old": {"since": 10, "until": 11},
 "/p.S/Same": {"since": 10}
}
"#;
    assert_eq!(list, expected);
}

/// The strings that encoders write differently, and some of the others.
fn keep_some_strings(path: &Path) {
    let mut data: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut index = 0;
    data["vectors"].as_array_mut().unwrap().retain(|vector| {
        index += 1;
        index % 20 == 0 || vector["differs"].is_object()
    });
    std::fs::write(path, json::indented_ascii(&data)).unwrap();
}

#[tokio::test]
async fn the_vectors_of_every_encoder_are_what_a_factory_with_it_gives() {
    let copy = copy("tests/data/factory");
    keep_some_strings(&copy.path().join("go-yaml-scalars.json"));
    let committed = texts(copy.path());
    for encoder in Encoder::ALL {
        let factory = FactoryMock::builder().encoder(encoder).start().await;
        let encoder = encoder.to_string();

        let made = factory_vectors::vectors(&factory.endpoint(), &encoder, copy.path()).await;

        // Those with fields of later releases and of the Enterprise edition.
        let (_, refused) = made.unwrap();
        assert_eq!(refused.len(), 6, "{encoder}: {refused:?}");
        assert!(
            texts(copy.path()) == committed,
            "{encoder} changes the vectors"
        );
    }
}

/// Files that were taken from elsewhere: neither code nor pages, and not what the examples and docs show.
const DATA: [&str; 10] = [
    "argocd-client/proto",
    "argocd-client/src/mock/data",
    "argocd-client/testdata",
    "factory-client/data",
    "proxmox-client/src/mock/contract",
    "talos-client/proto",
    "talos-client/src/config/schema",
    "talos-client/src/mock",
    "talos-client/src/api/pb",
    "tests/data",
];

#[test]
fn every_file_of_data_has_a_recipe_and_every_recipe_has_files() {
    let recipes = read("tests/RECIPES.md");
    let patterns: Vec<String> = recipes
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.trim_end_matches('`').split("`, `"))
        .map(str::to_owned)
        .collect();
    let files: Vec<String> = DATA.iter().flat_map(|folder| data_files(folder)).collect();
    let named = |pattern: &str, file: &str| glob(pattern).is_match(file);

    let without_recipe: Vec<&String> = files
        .iter()
        .filter(|file| !patterns.iter().any(|pattern| named(pattern, file)))
        .collect();
    let without_files: Vec<&String> = patterns
        .iter()
        .filter(|pattern| !files.iter().any(|file| named(pattern, file)))
        .collect();

    assert_eq!((without_recipe, without_files), (Vec::new(), Vec::new()));
}

/// Files below `folder`, without code that a person writes and pages that describe data.
fn data_files(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(crate::root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(data_files(&path));
        } else if !path.ends_with(".md") && (!path.ends_with(".rs") || path.contains("/pb/")) {
            files.push(path);
        }
    }
    files
}

/// `*` stands for a part of a name, `{a,b}` for one of several.
fn glob(pattern: &str) -> regex::Regex {
    let expression = regex::escape(pattern)
        .replace(r"\*", "[^/]*")
        .replace(r"\{", "(")
        .replace(r"\}", ")")
        .replace(',', "|");
    regex::Regex::new(&format!("^{expression}$")).unwrap()
}
