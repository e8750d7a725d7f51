//! The recorder of `tests/recipes` against the mock: it makes a recording of the same form, without credentials.

use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::compare::difference;
use super::replay::{KNOWN, Replay, last_line, start};
use super::server::IMAGE_SHA256;
use super::{Exchange, RELEASES, exchanges, wire};
use crate::recipes::record::{Recorder, Server};

/// How many exchanges are recorded as they are committed, byte by byte: those in which the server draws nothing but the ID of
/// a task.
const IDENTICAL: usize = 200;

/// A server that holds back its answer for longer has hung up.
const SILENCE: Duration = Duration::from_secs(2);

/// Sends the request of an exchange and keeps the answer.
async fn record(recorder: &mut Recorder, replay: &mut Replay, index: usize, exchange: &Exchange) {
    replay.before(exchange).await;
    let caller = wire::authentication(replay, &exchange.auth);
    let request = recorder.request(index, &caller);
    let mock = match exchange.name.as_str() {
        "plain http" => &replay.tls,
        _ => &replay.mock,
    };
    let mut endpoint = mock.endpoint();
    endpoint.set_scheme("http").unwrap();
    let server = Server::new(endpoint, None).unwrap().timeout(SILENCE);
    let send = || tokio::task::block_in_place(|| server.send(&request)).unwrap();
    let mut answer = send();
    for _ in 0..200 {
        if !recorder.has_to_wait(index, answer.as_ref()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = send();
    }
    if exchange.name == "login" {
        let body = answer.as_ref().map(|answer| answer.value(false));
        let field = |name: &str| {
            body.as_ref().unwrap()["data"][name]
                .as_str()
                .unwrap()
                .to_owned()
        };
        replay.ticket = Some((field("ticket"), field("CSRFPreventionToken")));
    }
    recorder.keep(index, answer.as_ref());
}

/// Whether the request that started the task of this exchange is held back.
fn is_about_an_unknown_task(exchange: &Value) -> bool {
    let body = exchange["response_body"].to_string();
    let is_unknown =
        body.contains("no such task") || body.contains("unable to open file - No such file");
    is_unknown
        && exchange["path"]
            .as_str()
            .is_some_and(|path| path.contains("UPID:"))
}

/// Where an exchange is recorded differently: in its status line, or in what is no time, size or description of a machine.
fn changed(exchange: &Exchange, before: &Value, after: &Value) -> Option<String> {
    let (line, bodies) = (
        "status_line",
        (&before["response_body"], &after["response_body"]),
    );
    let is_cut = !exchange.truncated.is_empty();
    match exchange.status {
        _ if before[line] != after[line] => Some(format!("{}, not {}", after[line], before[line])),
        Some(200) if exchange.is_task_log() => last_line(bodies.0, bodies.1, is_cut),
        // Which two items of a list are kept is chance: the server has no order.
        Some(200) => difference("", bodies.0, bodies.1, is_cut)
            .filter(|difference| !is_cut || !difference.contains("has no item like")),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_the_mock_is_that_of_the_real_server_but_for_what_is_drawn() {
    let upid = Regex::new("(UPID:pve-01:)[0-9A-F:]{27}").unwrap();
    for (release, data) in RELEASES {
        let mut replay = start(release).await;
        let place = |recorded: &str, ours: &str| (recorded.to_owned(), ours.to_owned());
        let places = vec![
            place("http://images.example.test", &replay.images.uri()),
            place("closed.example.test:1", "127.0.0.1:1"),
            place(IMAGE_SHA256, &replay.checksum),
        ];
        let mut recorder = Recorder::new(data, places).unwrap();
        let recorded = exchanges(data);

        for (index, exchange) in recorded.iter().enumerate() {
            record(&mut recorder, &mut replay, index, exchange).await;
        }

        let text = recorder.text();
        let (ticket, csrf) = replay.ticket.clone().unwrap();
        for secret in [ticket, csrf] {
            assert!(!text.contains(&secret), "{release}: {secret}");
        }
        let parsed =
            |text: &str| -> Value { serde_json::from_str(&upid.replace_all(text, "$1")).unwrap() };
        let (before, after) = (parsed(data), parsed(&text));
        let mut identical = 0;
        let mut different = Vec::new();
        for (index, exchange) in recorded.iter().enumerate() {
            let (before, after) = (&before["exchanges"][index], &after["exchanges"][index]);
            identical += usize::from(format!("{before}") == format!("{after}"));
            let difference = changed(exchange, before, after);
            let is_expected = is_about_an_unknown_task(after)
                || KNOWN.iter().any(|(case, _)| *case == exchange.case());
            if let Some(difference) = difference.filter(|_| !is_expected) {
                different.push(format!("{}: {difference}", exchange.label()));
            }
        }
        println!(
            "{release}: {identical} of {} exchanges are identical",
            recorded.len()
        );
        assert!(different.is_empty(), "{release}:\n{}", different.join("\n"));
        assert!(identical >= IDENTICAL, "{release}: only {identical}");
    }
}
