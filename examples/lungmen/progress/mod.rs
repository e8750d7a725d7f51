//! Shows events: one line for each step and machine on a terminal, plain lines elsewhere, JSON lines for programs.

pub(crate) mod board;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use lungmen_bootstrap::{Event, EventKind, Observer, Outcome};

use board::{Board, Key, Line};
use text::folded;

/// The columns that the spinner of a moving line takes.
const SPINNER: usize = 2;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Terminal,
    Lines,
    Json,
}

impl Style {
    pub(crate) fn of_this_process(json: bool) -> Self {
        if json {
            Self::Json
        } else if std::io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Lines
        }
    }
}

/// An observer that prints. Clones share one screen.
#[derive(Clone)]
pub(crate) struct Progress {
    style: Style,
    screen: Arc<Mutex<Screen>>,
    heartbeat: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

#[derive(Default)]
struct Screen {
    board: Board,
    bars: MultiProgress,
    shown: BTreeMap<Key, Moving>,
    last: BTreeMap<Key, String>,
}

impl Progress {
    /// Plain lines repeat what is waited for every `heartbeat`, so that a log shows that the run lives.
    pub(crate) fn new(style: Style, heartbeat: Duration) -> Self {
        let progress = Self {
            style,
            screen: Arc::default(),
            heartbeat: Arc::default(),
        };
        if style == Style::Lines {
            let beating = tokio::spawn(beat(Arc::clone(&progress.screen), heartbeat));
            *locked(&progress.heartbeat) = Some(beating);
        }
        progress
    }

    /// Takes the moving lines off the screen, so that what follows starts on a line of its own.
    pub(crate) fn close(&self) {
        if let Some(beating) = locked(&self.heartbeat).take() {
            beating.abort();
        }
        let mut screen = locked(&self.screen);
        for moving in std::mem::take(&mut screen.shown).into_values() {
            moving.bar.finish_and_clear();
        }
    }
}

async fn beat(screen: Arc<Mutex<Screen>>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    // The first tick is now.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = jiff::Timestamp::now();
        for line in locked(&screen).board.lines() {
            write_line(&format!("  … {}", line.with_time(now)));
        }
    }
}

impl Screen {
    /// Something that changes all the time: moving lines, or a plain one when it says something new.
    fn status(&mut self, event: &Event, style: Style) {
        let Some(line) = self.board.note(event) else {
            return;
        };
        if style == Style::Terminal {
            self.redraw();
            return;
        }
        let (key, text, plain) = (line.key.clone(), line.text(), line.with_time(event.at));
        let board = &self.board;
        self.last.retain(|key, _| board.has(key));
        if self.last.get(&key) != Some(&text) {
            write_line(&format!("  … {plain}"));
            self.last.insert(key, text);
        }
    }

    /// Brings the lines of the board to the screen.
    fn redraw(&mut self) {
        let lines: BTreeMap<Key, Line> = self
            .board
            .lines()
            .map(|line| (line.key.clone(), line.clone()))
            .collect();
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.shown)
            .into_iter()
            .partition(|(key, _)| lines.contains_key(key));
        self.shown = kept;
        for moving in gone.into_values() {
            moving.bar.finish_and_clear();
            self.bars.remove(&moving.bar);
        }
        for (key, line) in lines {
            match self.shown.get(&key) {
                Some(moving) => *locked(&moving.line) = line,
                None => {
                    self.shown.insert(key, Moving::new(&self.bars, line));
                }
            }
        }
    }

    fn line(&self, text: &str) {
        let text = folded(text, text::width(&Term::stderr()));
        self.bars.suspend(|| write_line(&text));
    }

    /// Takes the lines of a step, or of one machine in it, off the screen.
    fn end(&mut self, event: &Event) {
        self.board.note(event);
        let board = &self.board;
        self.last.retain(|key, _| board.has(key));
        self.redraw();
    }

    fn finished(&mut self, event: &Event, outcome: Outcome, summary: &str, lasted: Duration) {
        self.end(event);
        let mark = match outcome {
            Outcome::Done => "✓",
            Outcome::AlreadyDone => "=",
            _ => "-",
        };
        let seconds = lasted.as_secs_f64();
        self.line(&format!(
            "{mark} {} {seconds:.1} s, {outcome}: {summary}",
            event.step
        ));
    }
}

/// A line of the board that moves on the screen.
struct Moving {
    bar: ProgressBar,
    line: Arc<Mutex<Line>>,
}

impl Moving {
    fn new(bars: &MultiProgress, line: Line) -> Self {
        let line = Arc::new(Mutex::new(line));
        let bar = bars.add(ProgressBar::new_spinner());
        let shown = Arc::clone(&line);
        let write = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let width = text::width(&Term::stderr()).unwrap_or(text::USUAL);
            let text = locked(&shown).fitted(jiff::Timestamp::now(), width - SPINNER);
            let _ = out.write_str(&text);
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {line}") {
            bar.set_style(style.with_key("line", write));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, line }
    }
}

impl Observer for Progress {
    fn observe(&self, event: &Event) {
        if self.style == Style::Json {
            if let Ok(line) = serde_json::to_string(event) {
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            return;
        }
        let mut screen = locked(&self.screen);
        let key = Key::of(event);
        match &event.kind {
            EventKind::Deleting { what } => screen.line(&format!("  - {key}: deleting {what}")),
            EventKind::Note { text } => {
                let text = screen.board.remark(event, text);
                screen.line(&format!("  · {key}: {text}"));
            }
            EventKind::Warning { text } => {
                if screen.board.is_news(text) {
                    let text = screen.board.remark(event, text);
                    screen.line(&format!("  ! {key}: {text}"));
                }
            }
            EventKind::StepFinished {
                outcome,
                summary,
                duration,
            } => screen.finished(event, *outcome, summary, *duration),
            EventKind::StepFailed { .. } => {
                screen.end(event);
                screen.line(&format!("✗ {key} failed"));
            }
            _ => screen.status(event, self.style),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_line(text: &str) {
    // A closed pipe must not end the run.
    let _ = writeln!(std::io::stderr(), "{text}");
}
