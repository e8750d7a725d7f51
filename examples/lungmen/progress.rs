//! Shows events: spinners on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use lungmen_bootstrap::{Event, EventKind, Observer, Outcome, StepId};

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

/// An observer that prints. Clones share one spinner.
#[derive(Clone)]
pub(crate) struct Progress {
    style: Style,
    spinner: Arc<Mutex<Option<ProgressBar>>>,
    last_line: Arc<Mutex<String>>,
}

impl Progress {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            style,
            spinner: Arc::default(),
            last_line: Arc::default(),
        }
    }

    /// Takes the spinner off the screen, so that what follows starts on a line of its own.
    pub(crate) fn close(&self) {
        if let Some(spinner) = self.spinner().take() {
            spinner.finish_and_clear();
        }
    }

    fn spinner(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.spinner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, step: StepId) {
        if self.style == Style::Terminal {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:>17}  {wide_msg}") {
                spinner.set_style(style);
            }
            spinner.set_prefix(step.to_string());
            spinner.set_message(step.title());
            spinner.enable_steady_tick(Duration::from_millis(100));
            *self.spinner() = Some(spinner);
        }
    }

    /// Something that changes all the time: a message of the spinner, or a line when it is a new one.
    fn status(&self, step: StepId, text: String) {
        if let Some(spinner) = &*self.spinner() {
            spinner.set_message(text);
            return;
        }
        let mut last = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *last != text {
            write_line(&format!("  {step:>17}  … {text}"));
            *last = text;
        }
    }

    fn line(&self, text: &str) {
        match &*self.spinner() {
            Some(spinner) => spinner.suspend(|| write_line(text)),
            None => write_line(text),
        }
    }

    fn finish(&self, step: StepId, outcome: Outcome, summary: &str, duration: Duration) {
        self.close();
        let mark = match outcome {
            Outcome::Done => "✓",
            Outcome::AlreadyDone => "=",
            _ => "-",
        };
        let seconds = duration.as_secs_f64();
        write_line(&format!(
            "{mark} {step:>17}  {outcome} ({seconds:.1} s): {summary}"
        ));
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
        let step = event.step;
        match &event.kind {
            EventKind::StepStarted => self.start(step),
            EventKind::Acting { reason } => self.status(step, reason.clone()),
            EventKind::Waiting {
                waiting_for, cause, ..
            } => self.status(step, format!("waiting for {waiting_for}: {cause}")),
            EventKind::Transfer { what, done, total } => {
                self.status(step, transferred(what, *done, *total));
            }
            EventKind::Deleting { what } => self.line(&format!("  {step:>17}  - deleting {what}")),
            EventKind::Note { text } => self.line(&format!("  {step:>17}  · {text}")),
            EventKind::Warning { text } => self.line(&format!("  {step:>17}  ! {text}")),
            EventKind::StepFinished {
                outcome,
                summary,
                duration,
            } => self.finish(step, *outcome, summary, *duration),
            EventKind::StepFailed { .. } => {
                self.close();
                write_line(&format!("✗ {step:>17}  failed"));
            }
            _ => {}
        }
    }
}

fn transferred(what: &str, done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) if total > 0 => format!("{what}: {} %", done.saturating_mul(100) / total),
        _ => format!("{what}: {} MiB", done >> 20),
    }
}

fn write_line(text: &str) {
    // A closed pipe must not end the run.
    let _ = writeln!(std::io::stderr(), "{text}");
}
