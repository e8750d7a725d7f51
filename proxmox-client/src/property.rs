//! Property strings: the comma separated `key=value` lists in which Proxmox VE packs the options
//! of a disk, a network card and so on. There is no quoting, so no value can contain a comma.

use std::fmt;

use crate::error::{Error, Result};
use crate::wire;

/// A parsed property string: at most one bare value, then `key=value` in the order given.
///
/// ```
/// use proxmox_client::property::PropertyString;
///
/// let mut disk = PropertyString::parse("nvme-lvm:32,iothread=1")?;
/// assert_eq!(disk.take_bare().as_deref(), Some("nvme-lvm:32"));
/// assert_eq!(disk.take("iothread").as_deref(), Some("1"));
/// # Ok::<(), proxmox_client::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyString {
    bare: Option<String>,
    entries: Vec<(String, String)>,
}

impl PropertyString {
    /// Splits the text.
    ///
    /// # Errors
    /// `InvalidInput` with the server's own words for a duplicate key, a key with a blank at its end, a second bare value
    /// or an empty key or value.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parsed = Self::default();
        for part in text.split(',') {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            match part.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                    // No schema has such a key.
                    if key.trim_end() != key {
                        return Err(malformed(&format!(
                            "invalid key in comma-separated list property: {key}"
                        )));
                    }
                    if parsed.get(key).is_some() {
                        return Err(duplicate(key));
                    }
                    parsed.entries.push((key.to_owned(), value.to_owned()));
                }
                Some(_) => {
                    return Err(malformed("missing key in comma-separated list property"));
                }
                None if parsed.bare.is_none() => parsed.bare = Some(part.to_owned()),
                None => {
                    return Err(malformed(
                        "duplicate key in comma-separated list property: two values without key",
                    ));
                }
            }
        }
        Ok(parsed)
    }

    /// A string that begins with a value without key.
    pub fn with_bare(value: impl fmt::Display) -> Self {
        Self {
            bare: Some(value.to_string()),
            entries: Vec::new(),
        }
    }

    /// A string that begins with the value of its default key. The key is written where the value alone would be read as
    /// something else.
    pub(crate) fn with_default(key: &str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        if !value.contains('=') && value.trim() == value {
            return Self::with_bare(value);
        }
        let mut text = Self::default();
        text.push(key, value);
        text
    }

    /// Appends `key=value`.
    pub fn push(&mut self, key: &str, value: impl fmt::Display) {
        self.entries.push((key.to_owned(), value.to_string()));
    }

    /// Appends `key=value` when there is a value.
    pub(crate) fn push_some<T: fmt::Display>(&mut self, key: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }

    /// Appends `key=1` or `key=0` when it is set.
    pub(crate) fn push_flag(&mut self, key: &str, value: Option<bool>) {
        self.push_some(key, value.map(u8::from).as_ref());
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Removes and returns the value of `key`.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Removes and returns the value without key.
    pub fn take_bare(&mut self) -> Option<String> {
        self.bare.take()
    }

    /// Removes and returns the value of the default key, which is the one without key or under one of these names.
    ///
    /// # Errors
    /// `InvalidInput` with the server's words when it is given twice.
    pub(crate) fn take_default(&mut self, names: &[&str]) -> Result<Option<String>> {
        let named = names.iter().filter_map(|name| self.take(name));
        let named: Vec<String> = named.collect();
        let mut given = self.take_bare().into_iter().chain(named);
        match (given.next(), given.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(duplicate(names.first().copied().unwrap_or_default())),
        }
    }

    /// Removes `key` and reads it as a truth value (`1|on|yes|true`, `0|off|no|false`).
    pub(crate) fn take_flag(&mut self, key: &str) -> Result<Option<bool>> {
        self.take(key)
            .map(|value| {
                wire::truth_of_text(&value)
                    .ok_or_else(|| malformed(&format!("`{key}` is not a boolean: {value}")))
            })
            .transpose()
    }

    /// Removes `key` and parses it.
    pub(crate) fn take_parsed<T: std::str::FromStr>(&mut self, key: &str) -> Result<Option<T>> {
        self.take(key)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| malformed(&format!("`{key}` has an invalid value: {value}")))
            })
            .transpose()
    }

    /// What is left after taking the known keys.
    pub(crate) fn into_rest(self) -> Vec<(String, String)> {
        self.entries
    }

    /// All `key=value` pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The values that contain a comma or blanks at an end and hence cannot be sent.
    pub(crate) fn unsendable(&self) -> impl Iterator<Item = &str> {
        self.bare
            .iter()
            .chain(self.entries.iter().map(|(_, value)| value))
            .map(String::as_str)
            .filter(|value| value.contains(',') || value.trim() != *value || value.is_empty())
    }
}

impl fmt::Display for PropertyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(bare) = &self.bare {
            f.write_str(bare)?;
            separator = ",";
        }
        for (key, value) in &self.entries {
            write!(f, "{separator}{key}={value}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// What the server says when a key has two values.
pub(crate) fn duplicate(key: &str) -> Error {
    malformed(&format!(
        "duplicate key in comma-separated list property: {key}"
    ))
}

fn malformed(problem: &str) -> Error {
    Error::field(
        "parse property string",
        "value",
        format!("invalid format - {problem}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_parsing_and_printing() {
        for text in [
            "nvme-lvm:32,iothread=1",
            "order=scsi0;ide2",
            "virtio=BC:24:11:AA:BB:CC,tag=2",
            "",
        ] {
            assert_eq!(PropertyString::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn empty_parts_are_ignored_as_the_server_does() {
        assert_eq!(
            PropertyString::parse("a=1,, b=2,").unwrap().to_string(),
            "a=1,b=2"
        );
    }

    #[test]
    fn malformed_texts_are_refused_in_the_servers_words() {
        for (text, words) in [
            (
                "a=1,a=2",
                "duplicate key in comma-separated list property: a",
            ),
            ("x,y", "duplicate key"),
            ("=1", "missing key"),
            ("a=", "missing key"),
            ("virtio =1", "invalid key in comma-separated list property"),
        ] {
            let error = PropertyString::parse(text).unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_default_key_has_one_value() {
        for text in ["a,file=b", "a,volume=b", "file=a,volume=b"] {
            let mut parsed = PropertyString::parse(text).unwrap();
            let error = parsed.take_default(&["file", "volume"]).unwrap_err();
            assert!(
                error.to_string().contains("duplicate key"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_default_value_is_read_back_whatever_is_in_it() {
        for value in ["q35", "=q35", "a=b", " q35"] {
            let printed = PropertyString::with_default("type", value).to_string();
            let mut parsed = PropertyString::parse(&printed).unwrap();
            let read = parsed.take_default(&["type"]).unwrap();
            assert_eq!(read.as_deref(), Some(value), "{printed}");
        }
    }

    #[test]
    fn booleans_have_four_spellings() {
        let mut parsed = PropertyString::parse("a=on,b=no,c=maybe").unwrap();

        assert_eq!(parsed.take_flag("a").unwrap(), Some(true));
        assert_eq!(parsed.take_flag("b").unwrap(), Some(false));
        assert!(parsed.take_flag("c").is_err());
        assert_eq!(parsed.take_flag("d").unwrap(), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_printed_is_read_back(
            bare in proptest::option::of("[a-z:/.-][a-z0-9:/.-]{0,12}"),
            entries in proptest::collection::btree_map("[a-z][a-z-]{0,8}", "[A-Za-z0-9:;=.+-]{1,12}", 0..6),
        ) {
            let mut made = PropertyString { bare, entries: Vec::new() };
            for (key, value) in &entries {
                made.push(key, value);
            }
            proptest::prop_assert_eq!(PropertyString::parse(&made.to_string()).unwrap(), made);
        }

        #[test]
        fn no_text_makes_the_parser_fail_otherwise_than_by_an_error(text in ".{0,60}") {
            let _ = PropertyString::parse(&text);
        }
    }
}
