//! What is wrong with a text, and how each library says so.

use std::borrow::Cow;

use super::Dialect;
use super::token::Mark;

/// Who found the problem; the texts count lines from different numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stage {
    Reader,
    Scanner,
    Parser,
    /// Building the tree: anchors and aliases.
    Composer,
}

/// A syntax error.
#[derive(Debug, Clone)]
pub(in super::super) struct Problem {
    stage: Stage,
    context: Option<(&'static str, Mark)>,
    problem: Cow<'static, str>,
    mark: Mark,
}

impl Problem {
    pub(super) fn scanner(
        context: &'static str,
        context_mark: Mark,
        problem: impl Into<Cow<'static, str>>,
        mark: Mark,
    ) -> Box<Self> {
        Self::with_context(Stage::Scanner, context, context_mark, problem, mark)
    }

    /// A problem inside something that began at `context_mark`.
    pub(in super::super) fn with_context(
        stage: Stage,
        context: &'static str,
        context_mark: Mark,
        problem: impl Into<Cow<'static, str>>,
        mark: Mark,
    ) -> Box<Self> {
        Box::new(Self {
            stage,
            context: Some((context, context_mark)),
            problem: problem.into(),
            mark,
        })
    }

    pub(in super::super) fn plain(
        stage: Stage,
        problem: impl Into<Cow<'static, str>>,
        mark: Mark,
    ) -> Box<Self> {
        Box::new(Self {
            stage,
            context: None,
            problem: problem.into(),
            mark,
        })
    }

    /// Where the problem is.
    pub(in super::super) fn mark(&self) -> Mark {
        self.mark
    }

    /// The text of the reference.
    pub(in super::super) fn text(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::V3 | Dialect::V4Rc3 => self.classic_text(),
            Dialect::V4Rc4 => self.marked_text(),
            Dialect::V4Rc6 => self.staged_text(),
            Dialect::Newest => {
                let place = if self.mark.line > 0 && self.stage != Stage::Composer {
                    format!("line {}: ", self.mark.line + 1)
                } else {
                    String::new()
                };
                format!("yaml: {place}{}", self.problem)
            }
        }
    }

    /// The line where the context began; the parser counts from 0, the scanner from 1, and the first line is not named.
    fn classic_text(&self) -> String {
        let context = self.context.map_or(0, |(_, mark)| mark.line);
        let line = if context > 0 { context } else { self.mark.line };
        if line == 0 || matches!(self.stage, Stage::Reader | Stage::Composer) {
            return format!("yaml: {}", self.problem);
        }
        let line = line + u32::from(self.stage == Stage::Scanner);
        format!("yaml: line {line}: {}", self.problem)
    }

    fn marked_text(&self) -> String {
        let base = u32::from(matches!(self.stage, Stage::Scanner | Stage::Composer));
        let step = u32::from(self.stage == Stage::Composer);
        let place = |mark: Mark| match (mark.line + base, mark.column + step) {
            (0, _) => "<unknown position>".to_owned(),
            (line, 0) => format!("line {line}"),
            (line, column) => format!("line {line}, column {}", column + 1),
        };
        if self.stage == Stage::Reader {
            return format!("yaml: offset {}: {}", self.mark.index, self.problem);
        }
        let mut text = "yaml: ".to_owned();
        if let Some((context, mark)) = self.context {
            text.push_str(&format!("{context} at {}: ", place(mark)));
        }
        if self.context.is_none_or(|(_, mark)| mark != self.mark) {
            text.push_str(&format!("{}: ", place(self.mark)));
        }
        text + &self.problem
    }

    fn staged_text(&self) -> String {
        let stage = match self.stage {
            Stage::Reader => "reader",
            Stage::Scanner => "scanner",
            Stage::Parser => "parser",
            Stage::Composer => "composer",
        };
        let place = |mark: Mark| format!("L{}.C{}", mark.line + 1, mark.column + 1);
        let Some((context, from)) = self.context else {
            return format!(
                "go-yaml load error in {stage} at {}: {}",
                place(self.mark),
                self.problem
            );
        };
        let range = if from == self.mark {
            place(from)
        } else if from.line == self.mark.line && from.column != self.mark.column {
            format!("{}-C{}", place(from), self.mark.column + 1)
        } else if from.line == self.mark.line {
            place(from)
        } else {
            format!("{}-{}", place(from), place(self.mark))
        };
        format!(
            "go-yaml load error in {stage} ({context}) at {range}: {}",
            self.problem
        )
    }
}

/// Checks that a text has only characters that YAML allows: no control characters but tabs and line breaks.
pub(in super::super) fn check_characters(text: &str, dialect: Dialect) -> Result<(), Box<Problem>> {
    // Since v1.14 the upper control characters are taken, because JSON has them.
    let newer = dialect >= Dialect::V4Rc6;
    let is_allowed = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => true,
        '\u{7f}'..='\u{9f}' => newer,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => true,
    };
    // Most texts are plain ASCII, which is quickly seen.
    if text
        .bytes()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
    {
        return Ok(());
    }
    let mut mark = Mark::default();
    for (at, c) in text.char_indices() {
        if !is_allowed(c) {
            mark.index = u32::try_from(at).unwrap_or(u32::MAX);
            let problem = if newer {
                format!(
                    "control characters are not allowed (value: {})",
                    u32::from(c)
                )
            } else {
                "control characters are not allowed".to_owned()
            };
            return Err(Problem::plain(Stage::Reader, problem, mark));
        }
        if c == '\n' {
            mark.line += 1;
            mark.column = 0;
        } else {
            mark.column += 1;
        }
    }
    Ok(())
}
