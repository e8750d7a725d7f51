//! Serialisation of values that are one text: they serialise as what `Display` prints and deserialise with `FromStr`.

/// Implements `Serialize` and `Deserialize` through `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($($name:ty),+ $(,)?) => {
        $(
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }
        )+
    };
}

serde_as_text!(
    crate::id::SchematicId,
    crate::image::ImageRequest,
    crate::platform::Arch,
    crate::platform::Platform,
    crate::schematic::Bootloader,
    crate::download::Sha256Digest,
    crate::version::TalosVersion,
);

#[cfg(test)]
mod tests {
    use crate::{Image, ImageRequest, Platform, SchematicId, TalosVersion};

    #[test]
    fn an_image_is_written_as_its_names_and_read_back() {
        let image = ImageRequest::iso(Platform::Nocloud)
            .secure_boot()
            .of(SchematicId::of_text(""), TalosVersion::new(1, 10, 7));

        let json = serde_json::to_value(&image).unwrap();

        assert_eq!(json["version"], "v1.10.7");
        assert_eq!(json["request"], "nocloud-amd64-secureboot.iso");
        assert_eq!(serde_json::from_value::<Image>(json).unwrap(), image);
        assert!(serde_json::from_str::<SchematicId>("\"short\"").is_err());
    }
}
