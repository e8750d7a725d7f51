//! Texts that fit on a screen.

use std::time::Duration;

use console::Term;

/// The width of a screen that nobody tells.
pub(crate) const USUAL: usize = 80;

/// No screen is taken for narrower.
const NARROWEST: usize = 20;

/// A duration as people say it: seconds up to two minutes, then minutes.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// The name of a machine up to its first dot.
pub(crate) fn short(machine: &str) -> &str {
    machine.split('.').next().unwrap_or(machine)
}

/// The width of a terminal; nothing where the output goes to a file or a pipe, which has none.
pub(crate) fn width(terminal: &Term) -> Option<usize> {
    if !terminal.is_term() {
        return None;
    }
    let (_, columns) = terminal.size_checked().unwrap_or((0, 0));
    Some(match usize::from(columns) {
        0 => USUAL,
        columns => columns.max(NARROWEST),
    })
}

/// The text on as many lines as it needs; all but the first are indented. Without a width it stays one line.
pub(crate) fn folded(text: &str, width: Option<usize>) -> String {
    const INDENT: &str = "    ";
    match width {
        None => text.to_owned(),
        Some(width) => {
            let options = textwrap::Options::new(width)
                .subsequent_indent(INDENT)
                // A name is not torn apart.
                .word_splitter(textwrap::WordSplitter::NoHyphenation);
            textwrap::wrap(text, options).join("\n")
        }
    }
}
