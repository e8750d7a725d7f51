//! Background tasks of the mock.

use std::time::Duration;

use serde_json::{Value, json};

use super::Shared;
use super::handler::Context;
use super::reply::{Refusal, Reply, page, plain_text};
use super::state::State;
use crate::id::NodeName;
use crate::upid::TaskId;

/// When a task ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timing {
    /// After it was reported as running this many times.
    Polls(u32),
    /// After this time, whether anybody asks or not.
    Delay(Duration),
}

/// The end of a task: changes the world, and returns log lines or the error.
pub(super) type Effect = Box<dyn FnOnce(&mut State) -> Result<Vec<String>, String> + Send>;

/// Undoes what was done before the task began.
pub(super) type Cleanup = Box<dyn FnOnce(&mut State) + Send>;

pub(super) struct TaskRecord {
    id: TaskId,
    number: u32,
    effect: Option<Effect>,
    polls_left: u32,
    exit: Option<String>,
    log: Vec<String>,
}

impl std::fmt::Debug for TaskRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskRecord")
            .field("id", &self.id)
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

/// What a task is about: the fields of its id.
pub(super) struct TaskSubject<'a> {
    worker: &'a str,
    id: String,
    node: &'a NodeName,
    user: &'a str,
}

impl<'a> TaskSubject<'a> {
    /// A task that the caller starts on a node; `id` is what it is about, often a VM.
    pub(super) fn of(
        context: &Context<'a>,
        worker: &'a str,
        id: impl ToString,
        node: &'a NodeName,
    ) -> Self {
        Self {
            worker,
            id: id.to_string(),
            node,
            user: &context.caller.id,
        }
    }
}

/// Starts a task whose work is known; it changes the world when it ends.
pub(super) fn start(
    shared: &Shared,
    state: &mut State,
    subject: &TaskSubject<'_>,
    effect: Effect,
) -> Reply {
    start_with_cleanup(shared, state, subject, (effect, Box::new(|_| {})))
}

/// As [`start`], with what has to be undone when the task is made to fail.
pub(super) fn start_with_cleanup(
    shared: &Shared,
    state: &mut State,
    subject: &TaskSubject<'_>,
    (effect, clean_up): (Effect, Cleanup),
) -> Reply {
    let id = register(state, subject)?;
    let effect: Effect = match state.failing_tasks.pop_front() {
        Some(exit_text) => Box::new(move |state| {
            clean_up(state);
            Err(exit_text)
        }),
        None => effect,
    };
    set_effect(shared, state, &id, effect);
    Ok(Value::String(id.to_string()))
}

/// Registers a task whose work is still being found out.
pub(super) fn register(state: &mut State, subject: &TaskSubject<'_>) -> Result<TaskId, Refusal> {
    state.started_tasks += 1;
    let number = state.started_tasks;
    let text = format!(
        "UPID:{}:{:08X}:{:08X}:{:08X}:{}:{}:{}:",
        subject.node,
        0x0003_A2F0 + number,
        0x01C2_D3E4 + number,
        0x66A1_B2C3 + number,
        subject.worker,
        // The server replaces what its id cannot contain.
        subject.id.replace([':', ' '], "_"),
        subject.user,
    );
    let id =
        TaskId::new(text).map_err(|_| Refusal::died("got no worker upid - start worker failed"))?;
    let polls_left = match state.timing {
        Timing::Polls(polls) => polls,
        Timing::Delay(_) => 0,
    };
    let record = TaskRecord {
        id: id.clone(),
        number,
        effect: None,
        polls_left,
        exit: None,
        log: Vec::new(),
    };
    state.tasks.insert(id.to_string(), record);
    Ok(id)
}

/// Adds a line to the log of a task that has not ended.
pub(super) fn print(state: &mut State, id: &TaskId, line: String) {
    if let Some(task) = state.tasks.get_mut(id.as_str()) {
        task.log.push(line);
    }
}

/// Says how a registered task ends, and lets it run.
pub(super) fn set_effect(shared: &Shared, state: &mut State, id: &TaskId, effect: Effect) {
    let Some(task) = state.tasks.get_mut(id.as_str()) else {
        return;
    };
    if task.exit.is_some() {
        // It was stopped meanwhile.
        return;
    }
    task.effect = Some(effect);
    match state.timing {
        Timing::Polls(0) => finish(state, id.as_str()),
        Timing::Polls(_) => {}
        Timing::Delay(delay) => {
            let (shared, id) = (shared.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                finish(&mut shared.state(), id.as_str());
            });
        }
    }
}

fn finish(state: &mut State, id: &str) {
    let Some(effect) = state.tasks.get_mut(id).and_then(|task| task.effect.take()) else {
        return;
    };
    let result = effect(state);
    let Some(task) = state.tasks.get_mut(id) else {
        return;
    };
    match result {
        Ok(log) => {
            let warnings = log.iter().filter(|line| line.starts_with("WARN")).count();
            task.log.extend(log);
            let exit = match warnings {
                0 => "OK".to_owned(),
                count => format!("WARNINGS: {count}"),
            };
            task.log.push(format!("TASK {exit}"));
            task.exit = Some(exit);
        }
        Err(text) => {
            task.exit = text.lines().next().map(str::to_owned);
            task.log.push(format!("TASK ERROR: {text}"));
        }
    }
}

fn find<'a>(state: &'a mut State, upid: &str) -> Result<&'a mut TaskRecord, Refusal> {
    if TaskId::new(upid).is_err() {
        return Err(Refusal::parameter("upid", "unable to parse worker upid"));
    }
    state
        .tasks
        .get_mut(upid)
        .ok_or_else(|| Refusal::parameter("upid", "no such task"))
}

/// A task is its owner's; others need a right on the node.
fn check_owner(context: &Context<'_>, privilege: &str) -> Result<(), Refusal> {
    let Ok(id) = TaskId::new(context.param("upid")) else {
        return Err(Refusal::parameter("upid", "unable to parse worker upid"));
    };
    let caller = context.caller;
    if id.user() == caller.id || id.user().starts_with(&format!("{}!", caller.id)) {
        return Ok(());
    }
    caller.require(&format!("/nodes/{}", id.node()), &[privilege])
}

/// The user of a task, and the name of the token.
fn owner(id: &TaskId) -> (&str, Option<&str>) {
    match id.user().split_once('!') {
        Some((user, token)) => (user, Some(token)),
        None => (id.user(), None),
    }
}

impl TaskRecord {
    fn shown(&self) -> Value {
        let (user, token) = owner(&self.id);
        let mut item = json!({
            "upid": self.id, "node": self.id.node(), "pid": 0x0003_A2F0 + self.number,
            "pstart": 0x01C2_D3E4 + self.number, "starttime": self.id.started_at(),
            "type": self.id.worker(), "id": self.id.subject(), "user": user,
        });
        if let Some(token) = token {
            item["tokenid"] = token.into();
        }
        item
    }

    fn listed(&self) -> Value {
        let mut item = self.shown();
        match &self.exit {
            Some(exit) => {
                item["status"] = exit.as_str().into();
                item["endtime"] = (self.id.started_at() + 1).into();
            }
            None => {
                item["status"] = "RUNNING".into();
                item["user"] = self.id.user().into();
                item["saved"] = "0".into();
            }
        }
        item
    }
}

pub(super) fn index() -> Value {
    json!([{ "name": "log" }, { "name": "status" }])
}

pub(super) fn status(context: &Context<'_>, state: &mut State) -> Reply {
    check_owner(context, "Sys.Audit")?;
    let upid = context.param("upid");
    let task = find(state, upid)?;
    if task.polls_left > 0 {
        task.polls_left -= 1;
    } else if let Timing::Polls(_) = state.timing {
        finish(state, upid);
    }
    let task = find(state, upid)?;
    let mut answer = task.shown();
    answer["status"] = "running".into();
    if let Some(exit) = &task.exit {
        answer["status"] = "stopped".into();
        answer["exitstatus"] = exit.as_str().into();
    }
    Ok(answer)
}

pub(super) fn log(context: &Context<'_>, state: &mut State) -> Reply {
    check_owner(context, "Sys.Audit")?;
    let (start, limit) = (context.number("start", 0), context.number("limit", 50));
    let lines = match state.tasks.get(context.param("upid")) {
        // The log of a task that does not exist is no error (measured on 9.2.11 and 8.4.21).
        None => vec!["unable to open file - No such file or directory".to_owned()],
        Some(task) if task.log.is_empty() => vec!["no content".to_owned()],
        Some(task) => task.log.clone(),
    };
    if context.optional("download") == Some("1") {
        let lines = lines.iter().map(|line| format!("{line}\n"));
        return Ok(plain_text(lines.collect()));
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    let shown = lines.iter().enumerate().skip(start).take(limit);
    let items = shown.map(|(index, text)| json!({ "n": index + 1, "t": text }));
    Ok(page(items.collect(), lines.len()))
}

pub(super) fn stop(context: &Context<'_>, state: &mut State) -> Reply {
    check_owner(context, "Sys.Modify")?;
    let task = find(state, context.param("upid"))?;
    if task.exit.is_none() {
        task.effect = None;
        // A download says what was interrupted.
        let text = match task.id.worker() {
            "download" => "download failed: received interrupt",
            _ => "received interrupt",
        };
        task.exit = Some(text.to_owned());
        task.log.push(format!("TASK ERROR: {text}"));
    }
    Ok(Value::Null)
}

/// Tasks of a node, newest first.
pub(super) fn list(context: &Context<'_>, state: &State) -> Reply {
    let node = context.param("node");
    let source = context.optional("source").unwrap_or("archive");
    let equals =
        |name: &str, value: &str| context.optional(name).is_none_or(|given| given == value);
    let failed = context.optional("errors") == Some("1");
    let all_users = context
        .caller
        .may(&format!("/nodes/{node}"), &["Sys.Audit"]);
    let mut found: Vec<&TaskRecord> = state
        .tasks
        .values()
        .filter(|task| task.id.node().as_str() == node)
        .filter(|task| all_users || task.id.user() == context.caller.id)
        .filter(|task| match source {
            "active" => task.exit.is_none(),
            "archive" => task.exit.is_some(),
            _ => true,
        })
        .filter(|task| equals("typefilter", task.id.worker()) && equals("vmid", task.id.subject()))
        .filter(|task| {
            context
                .number_u64("since")
                .is_none_or(|since| task.id.started_at() >= since)
        })
        .filter(|task| {
            context
                .number_u64("until")
                .is_none_or(|until| task.id.started_at() <= until)
        })
        .filter(|task| !failed || task.exit.as_deref().is_some_and(is_failure))
        .filter(|task| has_status(context.optional("statusfilter"), task.exit.as_deref()))
        .collect();
    found.sort_by_key(|task| std::cmp::Reverse(task.number));
    let total = found.len();
    let (start, limit) = (context.number("start", 0), context.number("limit", 50));
    let items = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|task| task.listed());
    Ok(page(items.collect(), total))
}

fn is_failure(exit: &str) -> bool {
    exit != "OK" && !exit.starts_with("WARNINGS")
}

fn has_status(wanted: Option<&str>, exit: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let status = match exit {
        None => return false,
        Some("OK") => "ok",
        Some("unexpected status") => "unknown",
        Some(text) if text.starts_with("WARNINGS") => "warning",
        Some(_) => "error",
    };
    crate::wire::split_list(wanted).any(|wanted| wanted.eq_ignore_ascii_case(status))
}

pub(super) fn of_cluster(context: &Context<'_>, state: &State) -> Value {
    let mut tasks: Vec<&TaskRecord> = state
        .tasks
        .values()
        .filter(|task| {
            let node = format!("/nodes/{}", task.id.node());
            task.id.user() == context.caller.id || context.caller.may(&node, &["Sys.Audit"])
        })
        .collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(task.number));
    tasks.iter().take(25).map(|task| task.listed()).collect()
}
