//! Whatever typed values a request is made of, the parameter check of both releases accepts what is sent.
//!
//! The values are drawn from seeds, so that a run is like every other. In the second test texts of a fixed form are also
//! broken: the call then refuses them before it sends anything, or what it sends is accepted.

mod access;
mod cluster;
mod dice;
mod judge;
mod node;
mod storage;
mod vm;
mod vm_options;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use futures_util::future::join_all;
use proxmox_client::{Client, ErrorKind, Result};

use self::dice::Dice;
use self::judge::{Judge, RELEASES, Sent};
use super::operation_table::operations;

type Outcome = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A call with values of its own for every seed.
struct Builder {
    name: &'static str,
    /// How many seeds there are for each one of the other calls.
    weight: u64,
    call: fn(Client, Dice) -> Outcome,
}

/// Makes a builder; the weight is 1 unless it is given.
macro_rules! builder {
    ($name:literal, |$client:ident, $dice:ident| $call:expr) => {
        $crate::proxmox::schema::builder!($name, 1, |$client, $dice| $call)
    };
    ($name:literal, $weight:literal, |$client:ident, $dice:ident| $call:expr) => {
        $crate::proxmox::schema::Builder {
            name: $name,
            weight: $weight,
            call: |$client, #[allow(unused_mut, reason = "not every call draws a value")] mut $dice| {
                Box::pin(async move { $call.await.map(drop) })
            },
        }
    };
}

use builder;

fn builders() -> Vec<Builder> {
    let mut all = vm::builders();
    all.extend(vm_options::builders());
    all.extend(storage::builders());
    all.extend(node::builders());
    all.extend(cluster::builders());
    all.extend(access::builders());
    all
}

/// What came of one call.
struct Judged {
    builder: &'static str,
    name: String,
    result: Result<()>,
    sent: Vec<Sent>,
}

/// Makes every call with this many seeds, times its weight.
async fn judged(seeds: u64, breaks: bool) -> Vec<Judged> {
    let runs = builders()
        .into_iter()
        .enumerate()
        .map(|(index, builder)| async move {
            let judge = Judge::start().await;
            let client = super::client(&judge.endpoint);
            let mut all = Vec::new();
            for seed in 0..seeds * builder.weight {
                let dice = Dice::new((index as u64) << 32 | seed, breaks);
                let result = (builder.call)(client.clone(), dice).await;
                all.push(Judged {
                    builder: builder.name,
                    name: format!("{}, seed {seed}", builder.name),
                    result,
                    sent: judge.take(),
                });
            }
            all
        });
    join_all(runs).await.into_iter().flatten().collect()
}

impl Judged {
    /// The answers say nothing, so that whatever returns something fails to read it.
    fn was_sent(&self) -> bool {
        match &self.result {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::Decode,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(&self.result, Err(error) if error.kind() == ErrorKind::InvalidInput)
    }

    /// Why a release would refuse what was sent, or why nothing was sent.
    fn problem(&self) -> Option<String> {
        if !self.was_sent() {
            return Some(format!("{}: {:?}", self.name, self.result));
        }
        let mut problems = self.sent.iter().flat_map(Sent::problems);
        let problem = problems.rfind(|problem| !is_missing(problem))?;
        Some(format!("{}: {problem}", self.name))
    }

    /// What is wrong with a refusal: it came too late, or does not say what is wrong.
    fn problem_of_refusal(&self) -> Option<String> {
        let error = self.result.as_ref().err()?;
        let names_it = error
            .diagnostics()
            .iter()
            .any(|known| !known.field.is_empty());
        (!self.sent.is_empty() || !names_it)
            .then(|| format!("{}: {error:?} after {:?}", self.name, self.sent))
    }
}

#[tokio::test]
async fn both_releases_accept_the_parameters_of_ten_thousand_random_requests() {
    let calls = judged(80, false).await;

    // One problem of each builder says enough.
    let problems: BTreeMap<_, _> = calls
        .iter()
        .filter_map(|call| Some((call.builder, call.problem()?)))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let sent: usize = calls.iter().map(|call| call.sent.len()).sum();
    println!("{sent} requests were judged by {} releases", RELEASES.len());
    assert!(sent >= 10_000, "{sent}");
}

#[tokio::test]
async fn a_broken_value_is_refused_before_it_is_sent() {
    let (refused, sent): (Vec<_>, Vec<_>) = judged(20, true)
        .await
        .into_iter()
        .partition(Judged::is_refused);

    let late = refused
        .iter()
        .map(|call| (call.builder, call.problem_of_refusal()));
    let wrong = sent.iter().map(|call| (call.builder, call.problem()));
    let problems: BTreeMap<_, _> = late
        .chain(wrong)
        .filter_map(|(builder, problem)| Some((builder, problem?)))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    println!("{} requests with broken values were refused", refused.len());
    assert!(refused.len() > 500, "{}", refused.len());
}

/// Calls that a release does not have, as their documentation says.
const MISSING: &[(&str, &str)] = &[
    ("8", "GET /cluster/ha/rules"),
    ("8", "POST /cluster/ha/rules"),
    ("8", "GET /cluster/ha/rules/"),
    ("8", "PUT /cluster/ha/rules/"),
    ("8", "DELETE /cluster/ha/rules/"),
];

/// Whether a problem is that the release does not have the call. A call that ends with `/` stands for all below it.
fn is_missing(problem: &str) -> bool {
    MISSING.iter().any(|(release, call)| {
        let known = format!("PVE {release} has no {call}");
        problem == known || (call.ends_with('/') && problem.starts_with(&known))
    })
}

#[tokio::test]
async fn both_releases_know_every_call_and_its_parameters() {
    let judge = Judge::start().await;
    for operation in operations() {
        let _ = (operation.call)(super::client(&judge.endpoint)).await;
    }

    let sent = judge.take();
    assert!(sent.len() > 80, "{}", sent.len());
    let problems: Vec<String> = sent
        .iter()
        .flat_map(Sent::problems)
        .filter(|problem| !is_missing(problem))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Calls whose parameters are always the same, or only numbers of lines.
const FIXED: &[&str] = &[
    "GET /nodes/{node}/qemu/{vmid}/config",
    "GET /nodes/{node}/tasks/{upid}/log",
    "POST /nodes/{node}/qemu/{vmid}/vncproxy",
];

/// Method and template of every call with values of its own: parameters, or a part of the path that is not the node, the VM
/// or the storage.
async fn calls_with_values() -> BTreeSet<String> {
    let judge = Judge::start().await;
    for operation in operations() {
        let _ = (operation.call)(super::client(&judge.endpoint)).await;
    }
    let sent = judge.take();
    let with_values = sent.iter().filter(|sent| sent.has_values());
    with_values.filter_map(Sent::call).collect()
}

#[tokio::test]
async fn every_call_with_values_takes_part_in_the_random_requests() {
    let all = calls_with_values().await;
    let drawn: BTreeSet<String> = judged(3, false)
        .await
        .iter()
        .flat_map(|judged| judged.sent.iter().filter_map(Sent::call))
        .collect();

    println!("{} calls have values", all.len());
    assert!(all.len() >= 90, "{}", all.len());
    let missing: Vec<&String> = all
        .difference(&drawn)
        .filter(|call| !FIXED.contains(&call.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn the_judge_finds_what_the_server_would_refuse() {
    let judge = Judge::start().await;
    let client = super::client(&judge.endpoint);
    for (method, path, params) in [
        (http::Method::GET, "/no/such/call", [("a", "1")]),
        (http::Method::POST, "/pools", [("poolid", "a b")]),
        (http::Method::POST, "/pools", [("pool", "a")]),
    ] {
        let _ = client.raw(method, path, &params).await;
        let sent = judge.take();
        assert_eq!(sent.len(), 1);
        assert!(sent[0].problems().len() >= RELEASES.len(), "{sent:?}");
    }
}
