//! The parameters of a call, and types whose setters collect them.

use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::rule::Rule;

/// Parameters in the order in which they are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    values: Vec<(String, String)>,
    /// What is wrong with them; the request is refused before it is sent.
    problems: Vec<Diagnostic>,
}

impl Params {
    pub(crate) const fn new() -> Self {
        Self {
            values: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Sets a parameter; a second value replaces the first one.
    pub(crate) fn set(&mut self, name: &str, value: impl fmt::Display) {
        let value = value.to_string();
        self.problems.retain(|problem| problem.field != name);
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// Sets a parameter that must fit a rule.
    pub(crate) fn set_fitting(&mut self, name: &str, value: impl fmt::Display, rule: Rule) {
        let value = value.to_string();
        self.set(name, &value);
        self.problems.extend(rule.problem(name, &value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, String)> {
        self.values.iter().cloned()
    }

    pub(crate) fn problems(&self) -> impl Iterator<Item = Diagnostic> {
        self.problems.iter().cloned()
    }
}

/// Items joined as the server splits them.
pub(crate) fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(",")
}

/// Sets a parameter, by a rule where there is one.
macro_rules! set_param {
    ($params:expr, $key:literal, $value:expr) => {
        $params.set($key, $value)
    };
    ($params:expr, $key:literal, $value:expr, $rule:ident) => {
        $params.set_fitting($key, $value, $crate::rule::$rule)
    };
}

/// Declares the input of a call: required values are arguments of `new`, the others have setters. A value that does not
/// fit its rule is refused by the call that the request is given to.
macro_rules! request {
    ($($(#[$doc:meta])* $name:ident (
        $($argument:ident: $argument_type:ty = $argument_key:literal $(is $argument_rule:ident)?),*
    ) {
        $($(#[$value_doc:meta])* $value:ident: $value_type:ty = $value_key:literal $(is $value_rule:ident)?,)*
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
                $({
                    let value: $argument_type = $argument.into();
                    $crate::params::set_param!(params, $argument_key, value $(, $argument_rule)?);
                })*
                Self { params }
            }

            $($(#[$value_doc])* pub fn $value(mut self, value: impl Into<$value_type>) -> Self {
                let value: $value_type = value.into();
                $crate::params::set_param!(self.params, $value_key, value $(, $value_rule)?);
                self
            })*

            $($(#[$flag_doc])* pub fn $flag(mut self) -> Self {
                self.params.set($flag_key, $flag_value);
                self
            })*
        }
    )+};
}

pub(crate) use {request, set_param};
