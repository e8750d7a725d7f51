//! Background tasks of the mock.

use std::time::Duration;

use serde_json::{Value, json};

use super::Shared;
use super::reply::{Refusal, Reply, page};
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
    pub(super) worker: &'a str,
    pub(super) id: &'a str,
    pub(super) node: &'a NodeName,
    pub(super) user: &'a str,
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
        effect: None,
        polls_left,
        exit: None,
        log: Vec::new(),
    };
    state.tasks.insert(id.to_string(), record);
    Ok(id)
}

/// Says how a registered task ends, and lets it run.
pub(super) fn set_effect(shared: &Shared, state: &mut State, id: &TaskId, effect: Effect) {
    let Some(task) = state.tasks.get_mut(id.as_str()) else {
        return;
    };
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
            task.log = log;
            let exit = match warnings {
                0 => "OK".to_owned(),
                count => format!("WARNINGS: {count}"),
            };
            task.log.push(format!("TASK {exit}"));
            task.exit = Some(exit);
        }
        Err(text) => {
            task.exit = text.lines().next().map(str::to_owned);
            task.log = vec![format!("TASK ERROR: {text}")];
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

pub(super) fn status(state: &mut State, upid: &str) -> Reply {
    let task = find(state, upid)?;
    if task.polls_left > 0 {
        task.polls_left -= 1;
    } else if let Timing::Polls(_) = state.timing {
        finish(state, upid);
    }
    let task = find(state, upid)?;
    let mut answer = json!({
        "upid": upid, "node": task.id.node(), "pid": 238_321, "pstart": 29_545_444,
        "starttime": task.id.started_at(), "type": task.id.worker(), "id": task.id.subject(),
        "user": task.id.user(), "status": "running",
    });
    if let Some(exit) = &task.exit {
        answer["status"] = "stopped".into();
        answer["exitstatus"] = exit.as_str().into();
    }
    Ok(answer)
}

pub(super) fn log(state: &mut State, upid: &str, start: usize, limit: usize) -> Reply {
    let task = find(state, upid)?;
    if task.log.is_empty() {
        return Ok(page(vec![json!({ "n": 1, "t": "no content" })], 1));
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    let lines = task.log.iter().enumerate().skip(start).take(limit);
    let items = lines.map(|(index, text)| json!({ "n": index + 1, "t": text }));
    Ok(page(items.collect(), task.log.len()))
}

pub(super) fn stop(state: &mut State, upid: &str) -> Reply {
    let task = find(state, upid)?;
    if task.exit.is_none() {
        task.effect = None;
        task.exit = Some("received interrupt".to_owned());
        task.log.push("TASK ERROR: received interrupt".to_owned());
    }
    Ok(Value::Null)
}
