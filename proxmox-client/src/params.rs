//! The parameters of a call, and types whose setters collect them.

use std::fmt;

/// Parameters in the order in which they are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a parameter; a second value replaces the first one.
    pub(crate) fn set(&mut self, name: &str, value: impl fmt::Display) {
        let value = value.to_string();
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().cloned()
    }
}

/// Items joined as the server splits them.
pub(crate) fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(",")
}

/// Declares the input of a call: required values are arguments of `new`, the others have setters.
macro_rules! request {
    ($($(#[$doc:meta])* $name:ident ( $($argument:ident: $argument_type:ty = $argument_key:literal),* ) {
        $($(#[$value_doc:meta])* $value:ident: $value_type:ty = $value_key:literal,)*
        ; flags {
            $($(#[$flag_doc:meta])* $flag:ident = $flag_key:literal $flag_value:literal,)*
        }
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[must_use = "a request does nothing until it is given to a call"]
        pub struct $name {
            pub(crate) params: $crate::params::Params,
        }

        impl $name {
            /// A request with nothing but what is required.
            #[allow(clippy::new_without_default, unused_mut, reason = "some requests require nothing")]
            pub fn new($($argument: impl Into<$argument_type>),*) -> Self {
                let mut params = $crate::params::Params::new();
                $(params.set($argument_key, $argument.into());)*
                Self { params }
            }

            $($(#[$value_doc])* pub fn $value(mut self, value: impl Into<$value_type>) -> Self {
                self.params.set($value_key, value.into());
                self
            })*

            $($(#[$flag_doc])* pub fn $flag(mut self) -> Self {
                self.params.set($flag_key, $flag_value);
                self
            })*
        }
    )+};
}

pub(crate) use request;
