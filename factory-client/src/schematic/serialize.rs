//! Serialisation of schematics, in the structure that the factory reads.
//!
//! Deserialising is as strict as [`Schematic::parse`]. A timestamp among the options of an overlay becomes a string.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value, json};

use super::{Bootloader, MetaValue, OptionValue, Overlay, Schematic};

impl Serialize for Schematic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut root = Map::new();
        if !self.owner.is_empty() {
            root.insert("owner".to_owned(), json!(self.owner));
        }
        if !self.overlay.is_empty() {
            root.insert("overlay".to_owned(), json!(self.overlay));
        }
        root.insert("customization".to_owned(), customization(self));
        root.serialize(serializer)
    }
}

fn customization(schematic: &Schematic) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, is_set: bool, value: Value| {
        if is_set {
            fields.insert(name.to_owned(), value);
        }
    };
    let configuration = &schematic.embedded_machine_configuration;
    set(
        "embeddedMachineConfiguration",
        !configuration.is_empty(),
        json!(configuration),
    );
    let arguments = &schematic.extra_kernel_args;
    set("extraKernelArgs", !arguments.is_empty(), json!(arguments));
    set("meta", !schematic.meta.is_empty(), json!(schematic.meta));
    let extensions = &schematic.official_extensions;
    set(
        "systemExtensions",
        !extensions.is_empty(),
        json!({ "officialExtensions": extensions }),
    );
    set(
        "bootloader",
        schematic.bootloader != Bootloader::None,
        json!(schematic.bootloader),
    );
    let secure_boot = secure_boot(schematic);
    set("secureboot", !secure_boot.is_empty(), json!(secure_boot));
    set(
        "diskImage",
        schematic.sector_size != 0,
        json!({ "sectorSize": schematic.sector_size }),
    );
    Value::Object(fields)
}

fn secure_boot(schematic: &Schematic) -> Map<String, Value> {
    let mut fields = Map::new();
    if !schematic.enroll_keys.is_empty() {
        fields.insert("enrollKeys".to_owned(), json!(schematic.enroll_keys));
    }
    if schematic.include_well_known_certificates {
        fields.insert("includeWellKnownCertificates".to_owned(), json!(true));
    }
    fields
}

impl<'de> Deserialize<'de> for Schematic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // JSON is YAML, and the parser is the factory's.
        let value = Value::deserialize(deserializer)?;
        Self::parse(&value.to_string()).map_err(D::Error::custom)
    }
}

impl Serialize for Overlay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = Map::new();
        fields.insert("image".to_owned(), json!(self.image));
        fields.insert("name".to_owned(), json!(self.name));
        if !self.options.is_empty() {
            fields.insert("options".to_owned(), json!(self.options));
        }
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Overlay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(default, deny_unknown_fields)]
        struct Fields {
            image: String,
            name: String,
            options: BTreeMap<String, OptionValue>,
        }
        let fields = Fields::deserialize(deserializer)?;
        Ok(Self {
            image: fields.image,
            name: fields.name,
            options: fields.options,
        })
    }
}

impl Serialize for MetaValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({ "key": self.key, "value": self.value }).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MetaValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            key: u8,
            value: String,
        }
        let Fields { key, value } = Fields::deserialize(deserializer)?;
        Ok(Self { key, value })
    }
}

impl Serialize for OptionValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_str(&value.to_string()),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(text) | Self::Timestamp(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OptionValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

impl From<Value> for OptionValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => from_number(&number),
            Value::String(text) => Self::String(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(map) => Self::Map(
                map.into_iter()
                    .map(|(key, value)| (key, value.into()))
                    .collect(),
            ),
        }
    }
}

fn from_number(number: &Number) -> OptionValue {
    if let Some(value) = number.as_i64() {
        return OptionValue::Integer(value.into());
    }
    match number.as_u64() {
        Some(value) => OptionValue::Integer(value.into()),
        None => OptionValue::Float(number.as_f64().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schematic_is_written_as_the_factory_reads_it_and_read_back() {
        let schematic = Schematic::builder()
            .extensions(["siderolabs/iscsi-tools", "siderolabs/zfs"])
            .kernel_arg("net.ifnames=0")
            .meta(10, "a: b\n")
            .overlay(
                Overlay::new("siderolabs/sbc", "rpi_generic")
                    .option("n", 7)
                    .option("s", "x"),
            )
            .bootloader(Bootloader::Grub)
            .enroll_keys("force")
            .include_well_known_certificates()
            .sector_size(4096)
            .build()
            .unwrap();

        let json = serde_json::to_string(&schematic).unwrap();

        assert_eq!(serde_json::from_str::<Schematic>(&json).unwrap(), schematic);
        assert_eq!(
            Schematic::parse(&json).unwrap().local_id(),
            schematic.local_id()
        );
    }

    #[test]
    fn the_empty_schematic_and_unknown_fields() {
        let empty = serde_json::to_string(&Schematic::default()).unwrap();

        assert_eq!(empty, "{\"customization\":{}}");
        assert!(serde_json::from_str::<Schematic>("{\"customisation\":{}}").is_err());
    }
}
