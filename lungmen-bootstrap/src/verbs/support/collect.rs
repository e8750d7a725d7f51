//! Asks everything that knows something, each for a bounded time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use talos_client::ResponseStream;
use talos_client::machine::{LogsRequest, Machine};

use super::SupportBundle;
use crate::desired::DesiredMachine;
use crate::error::Result;
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::verbs::logs::recorded;
use crate::verbs::status::status_and_plan;

/// How long a single question may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How many lines of the log of a service are taken.
const LINES: u16 = 2000;

impl ClusterBootstrap {
    /// Collects what helps to find out why a run failed: the outline, the plan with the state of every step, the status, the
    /// diagnosis, and of every node that answers its services, the messages of its kernel and the logs of its services.
    ///
    /// It only reads, takes no lease, and may be repeated at any time. What cannot be had is listed as missing. The secrets of
    /// the cluster record and of the files in the output directory are replaced in every text, and so is whatever looks like a
    /// private key or a token. Names and addresses stay: read the files before you send them.
    ///
    /// This call has no error.
    pub async fn support(&self) -> SupportBundle {
        let context = self.context().with_deadlines_up_to(LIMIT);
        let mut bundle = SupportBundle::new(context.cluster_name());
        learn_files(&context, &mut bundle);
        let record = recorded(&context).await;
        if let Ok(record) = &record {
            bundle
                .redactor
                .learn(record.bundle.to_yaml().expose_secret());
        }
        bundle.add("outline.txt", &self.outline().to_string());
        // Boxed, because the future of all questions is larger than a caller expects on the stack.
        let ((status, plan), diagnosis) = tokio::join!(
            Box::pin(status_and_plan(self.context())),
            Box::pin(self.doctor())
        );
        add_json(&mut bundle, "status.json", &status);
        add_json(&mut bundle, "plan.json", &plan);
        add_json(&mut bundle, "diagnosis.json", &diagnosis);
        let identity =
            record.and_then(|record| Identity::of(record.bundle, jiff::Timestamp::now()));
        match identity {
            Ok(identity) => nodes_of(&context, &identity, &mut bundle).await,
            Err(error) => bundle.add_missing("machines", &error.cause_line()),
        }
        bundle
    }
}

/// The secrets of the files, which may be others than those of the record.
fn learn_files(context: &Context, bundle: &mut SupportBundle) {
    for artifact in context.desired().artifacts() {
        if let Ok(Some(text)) = context.artifacts().read(&artifact) {
            bundle.redactor.learn(text.expose_secret());
        }
    }
}

fn add_json(bundle: &mut SupportBundle, name: &str, value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => bundle.add(name, &text),
        Err(error) => bundle.add_missing(name, &error.to_string()),
    }
}

async fn nodes_of(context: &Context, identity: &Identity, bundle: &mut SupportBundle) {
    let machines = &context.desired().machines;
    let asked = machines
        .iter()
        .map(|machine| node(context, identity, machine));
    for (machine, found) in machines.iter().zip(join_all(asked).await) {
        for (name, text) in found {
            let name = format!("machines/{}/{name}", machine.host());
            match text {
                Ok(text) => bundle.add(name, &text),
                Err(error) => bundle.add_missing(&name, &error.cause_line()),
            }
        }
    }
}

/// Files of one node, or why they could not be had.
type Found = Vec<(String, Result<String>)>;

async fn node(context: &Context, identity: &Identity, machine: &DesiredMachine) -> Found {
    let talos = match nodes::client(context, identity, machine) {
        Ok(client) => client.machine(),
        Err(error) => return vec![("*".to_owned(), Err(error))],
    };
    let services = match within(talos.services()).await {
        Ok(services) => services,
        // A node that does not answer has nothing else to say.
        Err(error) => return vec![("*".to_owned(), Err(error))],
    };
    let text = serde_json::to_string_pretty(&services).unwrap_or_default();
    let mut found = vec![
        ("services.json".to_owned(), Ok(text)),
        ("dmesg.log".to_owned(), read(talos.dmesg()).await),
    ];
    let logs = services.iter().map(|service| log(&talos, &service.id));
    found.extend(join_all(logs).await);
    found
}

async fn log(talos: &Machine, service: &str) -> (String, Result<String>) {
    let request = LogsRequest::service(service).tail_lines(LINES);
    (format!("{service}.log"), read(talos.logs(request)).await)
}

async fn read(mut stream: ResponseStream<Bytes>) -> Result<String> {
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
            if !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    within(reading).await
}

async fn within<T>(asking: impl Future<Output = talos_client::Result<T>>) -> Result<T> {
    crate::run::wait::within(LIMIT, "ask the node", asking).await
}
