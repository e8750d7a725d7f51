//! Line breaks that fold.

/// Line breaks inside a scalar, which fold: the first becomes a space unless more follow.
#[derive(Default)]
pub(super) struct Breaks {
    pub(super) first: Option<&'static str>,
    pub(super) more: String,
}

impl Breaks {
    pub(super) fn add(&mut self, text: &'static str) {
        if self.first.is_none() {
            self.first = Some(text);
        } else {
            self.more.push_str(text);
        }
    }

    /// Appends what they fold to.
    pub(super) fn fold(&mut self, text: &mut String) {
        match self.first.take() {
            Some("\n") if self.more.is_empty() => text.push(' '),
            Some("\n") | None => {}
            Some(first) => text.push_str(first),
        }
        text.push_str(&self.more);
        self.more.clear();
    }
}
