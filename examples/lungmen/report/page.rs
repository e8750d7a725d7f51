//! The page. Every text is escaped by the template; there is no script, and nothing is loaded from elsewhere.

use jiff::Timestamp;
use lungmen_bootstrap::{ArtifactFile, Cluster, Event, EventKind, MachineInfo, Outcome, StepId};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Ending;
use super::timeline::{End, Kind, Piece, Row, Timeline};
use crate::progress::text::short;

const STYLE: &str = include_str!("style.css");
/// Nothing may be loaded, and no script may run, whatever a text says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn page(events: &[Event], ending: &Ending<'_>, is_simulated: bool) -> Markup {
    let timeline = Timeline::of(events);
    let cluster = events.first().map_or("", |event| event.cluster.as_str());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Run of cluster " (cluster) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(cluster, &timeline, ending, is_simulated))
                main {
                    (problem(ending))
                    (warnings(events))
                    (chart(&timeline))
                    (steps(events, &timeline))
                    (waits(&timeline))
                    (checks(events))
                    (result(ending))
                    (log(events))
                }
            }
        }
    }
}

fn header(cluster: &str, timeline: &Timeline, ending: &Ending<'_>, is_simulated: bool) -> Markup {
    let (class, text) = match ending {
        Ending::Complete(done) if done.was_complete() => ("good", "nothing was changed".to_owned()),
        Ending::Complete(_) => ("good", "complete".to_owned()),
        Ending::Reached(run) => ("good", format!("reached {}", run.reached)),
        Ending::Failed(_) => ("bad", "failed".to_owned()),
        Ending::Interrupted(signal) => ("open", format!("interrupted by {}", signal.name())),
    };
    html! {
        header {
            h1 { "Run of cluster " (cluster) }
            p { span.badge.(class) { (text) } @if is_simulated { " " span.badge.open { "simulated" } } }
            @if let (Some(start), Some(end)) = (timeline.start(), timeline.end()) {
                p.quiet {
                    "from " time datetime=(start) { (clock(start)) }
                    " to " time datetime=(end) { (clock(end)) }
                    ", " (seconds(start, end))
                }
            }
        }
    }
}

fn problem(ending: &Ending<'_>) -> Markup {
    html! {
        @if let Ending::Failed(failure) = ending {
            section id="problem" {
                h2 { "Why it failed" }
                pre.bad { (failure.report()) }
            }
        }
    }
}

fn warnings(events: &[Event]) -> Markup {
    let mut texts: Vec<&str> = Vec::new();
    for event in events {
        if let EventKind::Warning { text } = &event.kind
            && !texts.contains(&text.as_str())
        {
            texts.push(text);
        }
    }
    html! {
        @if !texts.is_empty() {
            section id="warnings" {
                h2 { "Warnings" }
                ul { @for text in texts { li { (text) } } }
            }
        }
    }
}

/// A row of bars for every step and machine, on one scale.
fn chart(timeline: &Timeline) -> Markup {
    let (Some(start), Some(end)) = (timeline.start(), timeline.end()) else {
        return html! {};
    };
    let scale = Scale { start, end };
    html! {
        section id="timeline" {
            h2 { "Timeline" }
            p.legend {
                span.key.step {} "step " span.key.action {} "work "
                span.key.transfer {} "transfer " span.key.wait {} "wait"
            }
            div.chart role="table" aria-label="Timeline of steps and machines" {
                @for row in &timeline.rows {
                    div.row.machine[row.key.machine.is_some()] role="row" {
                        div.label role="rowheader" { (label(row)) }
                        div.track role="cell" {
                            span.bar.(end_class(row.end)) style=(scale.place(row.from, row.to))
                                title=(format!("{}: {}", row.key, seconds(row.from, row.to))) {}
                            @for piece in &row.pieces {
                                span.bar.(kind_class(piece.kind)) style=(scale.place(piece.from, piece.to))
                                    title=(hover(piece)) {}
                            }
                        }
                        div.time role="cell" { (seconds(row.from, row.to)) }
                    }
                }
            }
            (axis(start, end))
        }
    }
}

/// What the scale of the chart says: its beginning, its middle and its end.
fn axis(start: Timestamp, end: Timestamp) -> Markup {
    let whole = end.duration_since(start);
    let middle = start.saturating_add(whole / 2).unwrap_or(end);
    html! {
        div.row aria-hidden="true" {
            div.label {}
            div.scale {
                @for at in [start, middle, end] { span { (seconds(start, at)) } }
            }
            div.time {}
        }
    }
}

fn label(row: &Row) -> Markup {
    html! {
        @match &row.key.machine {
            Some(machine) => { span title=(machine) { (short(machine)) } }
            None => { (row.key.step.name()) }
        }
    }
}

fn hover(piece: &Piece) -> String {
    let lasted = seconds(piece.from, piece.to);
    match piece.kind {
        Kind::Wait => format!(
            "waited {lasted} for {} ({} probes): {}",
            piece.what, piece.attempts, piece.cause
        ),
        _ => format!("{lasted}: {}", piece.what),
    }
}

fn end_class(end: End) -> &'static str {
    match end {
        End::Finished(Outcome::Skipped) => "skipped",
        End::Finished(_) => "step",
        End::Failed => "failed",
        End::Open => "unfinished",
    }
}

fn kind_class(kind: Kind) -> &'static str {
    match kind {
        Kind::Action => "action",
        Kind::Wait => "wait",
        Kind::Transfer => "transfer",
    }
}

/// Where times lie between the start and the end of the run, in percent.
struct Scale {
    start: Timestamp,
    end: Timestamp,
}

impl Scale {
    fn place(&self, from: Timestamp, to: Timestamp) -> String {
        let left = self.percent(from);
        let width = (self.percent(to) - left).max(0.0);
        format!("left:{left:.3}%;width:{width:.3}%")
    }

    fn percent(&self, at: Timestamp) -> f64 {
        let whole = self.end.duration_since(self.start).as_secs_f64();
        let part = at.duration_since(self.start).as_secs_f64();
        match whole > 0.0 {
            true => (part / whole * 100.0).clamp(0.0, 100.0),
            false => 0.0,
        }
    }
}

fn steps(events: &[Event], timeline: &Timeline) -> Markup {
    let ends = timeline.rows.iter().filter(|row| row.key.machine.is_none());
    let summary_of = |step: StepId| {
        let mut events = events.iter().rev().filter(|event| event.step == step);
        events.find_map(|event| match &event.kind {
            EventKind::StepFinished { summary, .. } => Some(summary.as_str()),
            EventKind::StepFailed { error } => Some(error.as_str()),
            _ => None,
        })
    };
    html! {
        section id="steps" {
            h2 { "Steps" }
            table {
                thead { tr { th { "step" } th { "outcome" } th.number { "time" } th { "result" } } }
                tbody {
                    @for row in ends {
                        tr {
                            td.nowrap { code { (row.key.step.name()) } }
                            td.nowrap { (end_text(row.end)) }
                            td.number { (format!("{:.1} s", row.duration().as_secs_f64())) }
                            td { (summary_of(row.key.step).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}

fn end_text(end: End) -> Markup {
    match end {
        End::Finished(outcome) => html! { span.good { (outcome.to_string()) } },
        End::Failed => html! { span.bad { "failed" } },
        End::Open => html! { span.open { "not ended" } },
    }
}

/// Every wait with its reason: what took the time.
fn waits(timeline: &Timeline) -> Markup {
    let rows = timeline.rows.iter();
    let mut pieces: Vec<(&Row, &Piece)> = rows
        .flat_map(|row| row.pieces.iter().map(move |piece| (row, piece)))
        .collect();
    pieces.sort_by_key(|(_, piece)| piece.from);
    html! {
        @if !pieces.is_empty() {
            section id="work" {
                h2 { "Actions, waits and retries" }
                table {
                    thead { tr { th { "at" } th { "where" } th { "what" } th.number { "time" } th.number { "probes" } } }
                    tbody {
                        @for (row, piece) in pieces {
                            tr {
                                td.nowrap title=(clock(piece.from)) { (piece.from.strftime("%H:%M:%S").to_string()) }
                                td.nowrap { (row.key.to_string()) }
                                td {
                                    span.(kind_class(piece.kind)) { (verb(piece.kind)) } " " (piece.what)
                                    @if !piece.cause.is_empty() { div.quiet { (piece.cause) } }
                                }
                                td.number { (seconds(piece.from, piece.to)) }
                                td.number { @if piece.attempts > 0 { (piece.attempts) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Action => "acted because",
        Kind::Wait => "waited for",
        Kind::Transfer => "moved",
    }
}

/// What the steps that check found, as they said it.
fn checks(events: &[Event]) -> Markup {
    let is_check = |step: StepId| matches!(step, StepId::Preflight | StepId::Verify);
    let notes: Vec<(StepId, &str)> = events
        .iter()
        .filter(|event| is_check(event.step))
        .filter_map(|event| match &event.kind {
            EventKind::Note { text } => Some((event.step, text.as_str())),
            _ => None,
        })
        .collect();
    html! {
        @if !notes.is_empty() {
            section id="checks" {
                h2 { "Checks" }
                ul { @for (step, text) in notes { li { code { (step.name()) } " " (text) } } }
            }
        }
    }
}

fn result(ending: &Ending<'_>) -> Markup {
    match ending {
        Ending::Complete(cluster) => html! {
            (versions(cluster))
            (machines(&cluster.machines))
            (files(&cluster.files))
        },
        Ending::Reached(run) => files(&run.files),
        Ending::Failed(_) | Ending::Interrupted(_) => html! {},
    }
}

fn versions(cluster: &Cluster) -> Markup {
    let rows = [
        ("endpoint", cluster.endpoint.to_string()),
        ("Talos", cluster.talos_version.clone()),
        ("Kubernetes", cluster.kubernetes_version.clone()),
        ("schematic", cluster.schematic_id.clone()),
        ("ISO", cluster.iso.clone()),
        ("installer", cluster.installer.clone()),
        ("secrets", cluster.secrets.clone().unwrap_or_default()),
        (
            "Argo CD",
            cluster.argocd_cluster.clone().unwrap_or_default(),
        ),
    ];
    html! {
        section id="versions" {
            h2 { "Versions and places" }
            dl {
                @for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
                    dt { (name) } dd { code { (value) } }
                }
                @for application in &cluster.applications {
                    dt { "application" }
                    dd { code { (application.name) } " " (application.sync) ", " (application.health) }
                }
            }
        }
    }
}

fn machines(machines: &[MachineInfo]) -> Markup {
    html! {
        section id="machines" {
            h2 { "Machines" }
            table {
                thead { tr { th { "name" } th { "role" } th { "address" } th { "Talos" } th.number { "VM" } } }
                tbody {
                    @for machine in machines {
                        tr {
                            td { (machine.name) } td { (machine.role.to_string()) }
                            td { code { (machine.address.to_string()) } }
                            td { code { (machine.talos_version) } } td.number { (machine.vm_id) }
                        }
                    }
                }
            }
        }
    }
}

fn files(files: &[ArtifactFile]) -> Markup {
    html! {
        @if !files.is_empty() {
            section id="files" {
                h2 { "Files" }
                table {
                    tbody {
                        @for file in files {
                            tr { td.nowrap { code { (format!("{:04o}", file.mode)) } } td { code { (file.path.display().to_string()) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Everything in order, folded away.
fn log(events: &[Event]) -> Markup {
    html! {
        section id="events" {
            details {
                summary { (events.len()) " events" }
                ol {
                    @for event in events {
                        li { code { (serde_json::to_string(event).unwrap_or_default()) } }
                    }
                }
            }
        }
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn seconds(from: Timestamp, to: Timestamp) -> String {
    format!("{:.1} s", to.duration_since(from).as_secs_f64())
}
