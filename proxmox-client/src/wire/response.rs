//! Reading objects field by field. Lists are long, so nothing of them is copied that no field keeps.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::FromWire;

/// Reads the name of a field: what `known` makes of it, or its text.
pub(crate) struct Name<K>(pub(crate) fn(&str) -> Option<K>);

impl<'de, K> DeserializeSeed<'de> for Name<K> {
    type Value = Result<K, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<K> Visitor<'_> for Name<K> {
    type Value = Result<K, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((self.0)(text).ok_or_else(|| text.to_owned()))
    }
}

/// Reads the value of a field; `None` when it has not the shape of the type.
pub(crate) struct Field<T>(PhantomData<T>);

impl<T> Field<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: FromWire> DeserializeSeed<'de> for Field<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromWire> Visitor<'de> for Field<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        Ok(T::from_number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<T>, E> {
        Ok(T::from_wire(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<T>, E> {
        Ok(T::from_wire(number.into()))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Option<T>, E> {
        Ok(T::from_wire(flag.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok(T::from_text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(T::from_wire(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Option<T>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(T::from_wire)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Option<T>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(fields)).map(T::from_wire)
    }
}

/// Declares the value of a response: every field is read leniently, and what has no name here is kept.
macro_rules! response {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $key:literal,)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* #[serde(rename = $key)] pub $field: $type,)+
            /// What this crate has no field for, as the server sent it.
            #[serde(flatten)]
            pub other: serde_json::Map<String, serde_json::Value>,
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, reason = "named after the fields")]
                #[derive(Clone, Copy)]
                enum Key { $($field,)+ }

                fn known(name: &str) -> Option<Key> {
                    match name {
                        $($key => Some(Key::$field),)+
                        _ => None,
                    }
                }

                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a map")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        // The outer option tells whether the field was there, the inner one whether it could be read.
                        $(let mut $field: Option<Option<$type>> = None;)+
                        let mut other = serde_json::Map::new();
                        while let Some(name) = map.next_key_seed($crate::wire::Name(known))? {
                            match name {
                                $(Ok(Key::$field) => {
                                    $field = Some(map.next_value_seed($crate::wire::Field::new())?);
                                })+
                                Err(name) => drop(other.insert(name, map.next_value()?)),
                            }
                        }
                        // Only here, so that an error is about the object as a whole and names the field once.
                        Ok($name {
                            $($field: $crate::wire::present($field, $key)?,)+
                            other,
                        })
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }

        impl $crate::wire::FromWire for $name {
            fn from_wire(value: serde_json::Value) -> Option<Self> {
                serde_json::from_value(value).ok()
            }
        }
    )+};
}

pub(crate) use response;
