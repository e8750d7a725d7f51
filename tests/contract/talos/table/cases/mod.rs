//! Every call of the machine API.

use std::io::Write as _;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use talos_client::machine::{DebugContainerRequest, ImageNamespace};
use talos_client::{Client, Machine, ResponseStream, Result};

use super::{Case, HOSTNAME, Node, Running};

const IMAGE: &str = "docker.io/library/alpine:3";
const INSTALLER: &str = "ghcr.io/siderolabs/installer:v1.14.0";

/// What a call does with a client.
macro_rules! run {
    (|$machine:ident| $call:expr) => {
        |client: Client| -> Running {
            Box::pin(async move {
                let $machine = client.machine();
                $call.await.map(drop)
            })
        }
    };
}

mod configuration;
mod etcd;
mod files;
mod images;
mod information;
mod life;
mod resources;
mod services;
mod storage;

/// Waits for the first item of a stream that goes on.
async fn first<T>(mut stream: ResponseStream<T>) -> Result<()> {
    stream.next().await.transpose().map(drop)
}

/// Reads a stream to its end.
async fn all<T: Send + 'static>(stream: ResponseStream<T>) -> Result<Vec<T>> {
    stream.try_collect().await
}

/// A file with this content, as long as the value lives.
fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

/// A database that etcd could have written: pages, and their hash.
fn snapshot() -> Vec<u8> {
    let mut bytes = vec![7; 1024];
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

async fn upload(machine: Machine) -> Result<()> {
    let file = file(&snapshot());
    machine.etcd_recover(file.path()).await
}

/// An archive of `docker save` without layers.
fn archive() -> Vec<u8> {
    let manifest = format!("[{{\"RepoTags\":[\"{IMAGE}\"]}}]");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.len() as u64);
    builder
        .append_data(&mut header, "manifest.json", manifest.as_bytes())
        .unwrap();
    builder.into_inner().unwrap()
}

async fn import(machine: Machine) -> Result<String> {
    let file = file(&archive());
    machine
        .import_image(ImageNamespace::InMemory, file.path())
        .await
}

/// The id that the runtime gives the first container of the API server.
fn container_id() -> String {
    let pod = format!("kube-system/kube-apiserver-{HOSTNAME}");
    let digest: String = Sha256::digest(&pod)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{pod}:kube-apiserver:{}", &digest[..12])
}

async fn debug(machine: Machine) -> Result<()> {
    let request = DebugContainerRequest::of(IMAGE)
        .arguments(["/bin/sh"])
        .environment("TERM", "dumb")
        .terminal();
    let (input, output) = machine.run_debug_container(&request);
    input.resize(80, 24).await?;
    input.write("hello").await?;
    input.signal(15).await?;
    drop(input);
    all(output).await.map(drop)
}

/// A runtime and its namespace, as ImageService names them.
fn instance(driver: Option<&str>, namespace: &str) -> Value {
    match driver {
        Some(driver) => json!({"driver": driver, "namespace": namespace}),
        None => json!({ "namespace": namespace }),
    }
}

fn case(
    call: &'static str,
    path: &'static str,
    roles: &'static str,
    sends: Value,
    run: fn(Client) -> Running,
) -> Case {
    Case {
        call,
        path,
        roles,
        since: 10,
        sends: match sends {
            Value::Array(messages) => messages,
            message => vec![message],
        },
        run,
        node: Node::Shared,
        prepare: None,
        ends: None,
    }
}

/// All calls, in the order of the services.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = configuration::cases();
    cases.extend(etcd::cases());
    cases.extend(information::cases());
    cases.extend(services::cases());
    cases.extend(files::cases());
    cases.extend(life::cases());
    cases.extend(images::cases());
    cases.extend(storage::cases());
    cases.extend(resources::cases());
    cases
}
