//! How far a task is, where its log says so.

use serde::{Deserialize, Serialize};

/// How far a task is, read from a line of its log.
///
/// Downloads, copies of disks and migrations print such lines; other tasks do not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskProgress {
    /// Percent, 0 to 100.
    pub percent: f64,
}

impl TaskProgress {
    /// Reads a line such as `drive-scsi0: transferred 512.0 MiB of 1.0 GiB (50.00%) in 2s`,
    /// `transferred 1.0 GiB of 4.0 GiB (25.00%)`, ` 51200K .......... 45% 12.3M 2s` (wget) or `progress 30%`.
    ///
    /// ```
    /// use proxmox_client::task::TaskProgress;
    ///
    /// let line = "drive-scsi0: transferred 512.0 MiB of 1.0 GiB (50.00%) in 2s";
    /// assert_eq!(TaskProgress::of(line).map(|progress| progress.percent), Some(50.0));
    /// assert_eq!(TaskProgress::of("TASK OK"), None);
    /// ```
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        let (before, _) = line.split_once('%')?;
        let rest = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let start = rest.len();
        let percent: f64 = before[start..].parse().ok()?;
        let separated = before[..start]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || c == '(');
        (separated && (0.0..=100.0).contains(&percent)).then_some(Self { percent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_found_where_tasks_print_them() {
        for (line, percent) in [
            ("transferred 1.0 GiB of 4.0 GiB (25.00%)", Some(25.0)),
            (" 51200K .......... .......... 45% 12.3M 2s", Some(45.0)),
            (
                "     0K .......... .......... .....                       100% 60.1M=0s",
                Some(100.0),
            ),
            ("progress 30%", Some(30.0)),
            ("7%", Some(7.0)),
            ("a%b", None),
            ("v1.2% of", None),
            ("(150%)", None),
            ("url%20with%20escapes", None),
            ("", None),
            // The character before the number has several bytes.
            ("à7%", None),
            ("«\u{a0}7%", Some(7.0)),
        ] {
            assert_eq!(
                TaskProgress::of(line).map(|known| known.percent),
                percent,
                "{line}"
            );
        }
    }
}
