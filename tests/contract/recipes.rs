//! The recorder of `tests/recipes`: given the recorded answers, it keeps them as they are committed.

#[allow(dead_code, reason = "a part of it is for the command")]
#[path = "../recipes/files.rs"]
mod files;
#[allow(dead_code, reason = "a part of it is for other recipes")]
#[path = "../recipes/json.rs"]
mod json;
#[path = "../recipes/proxmox_options.rs"]
pub(crate) mod proxmox_options;
#[allow(dead_code, unused_imports, reason = "a part of it is for the command")]
#[path = "../recipes/record/mod.rs"]
pub(crate) mod record;

#[path = "../recipes/talos_node.rs"]
pub(crate) mod talos_node;

use crate::talos::{calls, support};
use record::{Answer, Recorder};
use serde_json::{Value, json};

const RECORDINGS: [(&str, &str); 4] = [
    (
        "Proxmox VE 8",
        include_str!("../data/proxmox/proxmox-8.4.21.json"),
    ),
    (
        "Proxmox VE 9",
        include_str!("../data/proxmox/proxmox-9.2.11.json"),
    ),
    (
        "Argo CD",
        include_str!("../data/argocd/recorded-3.5.1.json"),
    ),
    (
        "Kubernetes",
        include_str!("../data/kubernetes/exchanges-1.36.3.json"),
    ),
];

/// The recorded answer as the server sent it. A list of events was a stream of lines.
fn sent(exchange: &Value) -> Option<Answer> {
    let status = u16::try_from(exchange["status"].as_u64()?).unwrap();
    let header = |(name, value): (&String, &Value)| match value {
        Value::Array(cookies) => (name.clone(), format!("{}=x", cookies[0].as_str().unwrap())),
        value => (name.clone(), value.as_str().unwrap().to_owned()),
    };
    let body = match &exchange["response_body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(events) => events.iter().map(|event| format!("{event}\n")).collect(),
        body => body.to_string(),
    };
    let headers = exchange["response_headers"].as_object().unwrap();
    Some(Answer {
        line: exchange["status_line"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        status,
        headers: headers.iter().map(header).collect(),
        body: body.into_bytes(),
    })
}

/// Recorded lists are cut already, so that nothing says any more how long they were.
fn without_lengths(text: &str) -> Value {
    let mut recording: Value = serde_json::from_str(text).unwrap();
    for exchange in recording["exchanges"].as_array_mut().unwrap() {
        exchange.as_object_mut().unwrap().shift_remove("truncated");
    }
    recording
}

/// Whether two lines are the same, but for the last digits of a fraction, which JSON numbers lose when they are read.
fn is_same(written: &str, committed: &str) -> bool {
    let number = |line: &str| {
        line.trim_end_matches(',')
            .rsplit(": ")
            .next()
            .and_then(|number| number.parse::<f64>().ok())
    };
    written == committed
        || number(written)
            .zip(number(committed))
            .is_some_and(|(one, other)| (one - other).abs() < 1e-9)
}

#[test]
fn recorded_answers_are_kept_as_they_are_committed() {
    for (name, data) in RECORDINGS {
        let mut recorder = Recorder::new(data, Vec::new()).unwrap();
        let written = recorder.text();
        let lines = written.lines().zip(data.lines());
        let different: Vec<_> = lines
            .filter(|(written, committed)| !is_same(written, committed))
            .collect();
        assert!(
            different.is_empty(),
            "{name} is written in another form: {different:?}"
        );
        assert_eq!(written.lines().count(), data.lines().count());

        for index in 0..recorder.len() {
            let answer = sent(recorder.exchange(index));
            recorder.request(index, &[]);
            recorder.keep(index, answer.as_ref());
        }

        let (kept, committed) = (without_lengths(&recorder.text()), without_lengths(data));
        let pairs = kept["exchanges"]
            .as_array()
            .unwrap()
            .iter()
            .zip(committed["exchanges"].as_array().unwrap());
        let changed = pairs.filter(|(kept, committed)| kept.to_string() != committed.to_string());
        let changed: Vec<String> = changed
            .map(|(kept, committed)| format!("{committed}\nbecame {kept}"))
            .collect();
        assert!(
            changed.is_empty(),
            "{name}: {}\n{}",
            changed.len(),
            changed.join("\n")
        );
    }
}

/// A recording of one exchange whose answer has what must not be committed.
#[test]
fn credentials_and_identities_become_placeholders() {
    let recording = json!({"exchanges": [
        {"seq": 1, "auth": "ok", "method": "GET", "path": "/a", "status": 200, "response_headers": {},
         "response_body": {"metadata": {"uid": "00000000-0000-0000-0000-000000000004"}}},
        {"seq": 2, "auth": "ok", "method": "GET", "path": "/a?uid=00000000-0000-0000-0000-000000000004", "status": 200,
         "response_headers": {}, "response_body": {}},
    ]});
    let uid = "3a4b5c6d-1111-2222-3333-444455556666";
    let body = json!({
        "metadata": {"uid": uid, "managedFields": [{"manager": "x"}]},
        "token": "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl",
        "said": "the token Zm9vYmFyYmF6cXV4Cg is good",
        "ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "data": {"ticket": "PVE:root@pam:6B077216::c2lnbmF0dXJlc2lnbmF0dXJl"},
        "full-tokenid": "a@pve!b", "value": "5a4b5c6d-1111-2222-3333-444455556666",
    });
    let answer = |body: &Value| Answer {
        line: String::new(),
        status: 200,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let caller = [(
        "Authorization".to_owned(),
        "Bearer Zm9vYmFyYmF6cXV4Cg".to_owned(),
    )];
    let mut recorder = Recorder::new(&recording.to_string(), Vec::new()).unwrap();

    recorder.request(0, &caller);
    recorder.keep(0, Some(&answer(&body)));
    let second = recorder.request(1, &caller);
    recorder.keep(1, Some(&answer(&json!({}))));

    assert_eq!(second.path, format!("/a?uid={uid}"));
    assert_eq!(
        recorder.exchange(0)["response_body"],
        json!({
            "metadata": {"uid": "00000000-0000-0000-0000-000000000004"},
            "token": "eyJ.PAYLOAD.SIGNATURE",
            "said": "the token CREDENTIAL is good",
            "ca": "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n",
            "data": {"ticket": "PVE:root@pam:6B077216::SIGNATURE"},
            "full-tokenid": "a@pve!b", "value": "44444444-4444-4444-4444-444444444444",
        })
    );
    assert_eq!(
        recorder.exchange(1)["path"],
        "/a?uid=00000000-0000-0000-0000-000000000004"
    );
}
