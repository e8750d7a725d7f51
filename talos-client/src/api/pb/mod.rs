//! Generated messages, clients and (feature `mock`) servers of the machine API; `proto/` is their source.
//!
//! The code is committed so that users build neither a protobuf compiler nor a build script. The test below
//! fails when it differs from what the `.proto` files give; run it with `UPDATE_GENERATED=1` to rewrite it.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::exhaustive_enums,
    clippy::use_self,
    clippy::too_many_lines,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications
)]

pub(crate) mod common {
    include!("common.rs");
}

pub(crate) mod machine {
    include!("machine.rs");
}

pub(crate) mod storage {
    include!("storage.rs");
}

pub(crate) mod time {
    include!("time.rs");
}

pub(crate) mod cluster {
    include!("cluster.rs");
}

pub(crate) mod inspect {
    include!("inspect.rs");
}

pub(crate) mod google {
    pub(crate) mod rpc {
        include!("google.rpc.rs");
    }
}

pub(crate) mod cosi {
    pub(crate) mod resource {
        include!("cosi.resource.rs");

        pub(crate) mod meta {
            include!("cosi.resource.meta.rs");
        }
    }
}

pub(crate) mod resource {
    pub(crate) mod config {
        include!("resource.config.rs");
    }
}

pub(crate) mod talos {
    pub(crate) mod resource {
        pub(crate) mod definitions {
            pub(crate) mod block {
                include!("talos.resource.definitions.block.rs");
            }
            pub(crate) mod cluster {
                include!("talos.resource.definitions.cluster.rs");
            }
            pub(crate) mod enums {
                include!("talos.resource.definitions.enums.rs");
            }
            pub(crate) mod etcd {
                include!("talos.resource.definitions.etcd.rs");
            }
            pub(crate) mod extensions {
                include!("talos.resource.definitions.extensions.rs");
            }
            pub(crate) mod hardware {
                include!("talos.resource.definitions.hardware.rs");
            }
            pub(crate) mod k8s {
                include!("talos.resource.definitions.k8s.rs");
            }
            pub(crate) mod network {
                include!("talos.resource.definitions.network.rs");
            }
            pub(crate) mod runtime {
                include!("talos.resource.definitions.runtime.rs");
            }
            pub(crate) mod time {
                include!("talos.resource.definitions.time.rs");
            }
            pub(crate) mod v1alpha1 {
                include!("talos.resource.definitions.v1alpha1.rs");
            }
        }
    }
}

pub(crate) use talos::resource::definitions;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::error::Error;
    use std::fs;
    use std::path::{Path, PathBuf};

    use prost_types::DescriptorProto;
    use serde_json::{Map, Value, json};

    /// The services, and what a node says about types, whose `.proto` files import all others.
    const ROOTS: [&str; 7] = [
        "cluster.proto",
        "cosi_meta.proto",
        "cosi_resource.proto",
        "inspect.proto",
        "machine.proto",
        "storage.proto",
        "time.proto",
    ];

    fn sources() -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let mut files: Vec<PathBuf> = ROOTS.iter().map(PathBuf::from).collect();
        for entry in fs::read_dir(proto_dir().join("definitions"))? {
            files.push(Path::new("definitions").join(entry?.file_name()));
        }
        files.sort();
        Ok(files)
    }

    fn proto_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
    }

    fn generated_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/pb")
    }

    fn generate() -> Result<BTreeMap<String, String>, Box<dyn Error>> {
        let out = tempfile::tempdir()?;
        let descriptors = protox::compile(sources()?, [proto_dir()])?;
        tonic_prost_build::configure()
            .out_dir(out.path())
            // Streams of bytes are handed on as they arrive, without a copy of each piece.
            .bytes(".common.Data")
            .server_mod_attribute(".", "#[cfg(feature = \"mock\")]")
            // The mock decides about methods that it does not implement before they are dispatched.
            .generate_default_stubs(true)
            .compile_fds(descriptors)?;

        let mut files = BTreeMap::new();
        for entry in fs::read_dir(out.path())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(name.into_owned(), fs::read_to_string(&path)?);
        }
        Ok(files)
    }

    #[test]
    fn the_committed_code_is_what_the_proto_files_generate() -> Result<(), Box<dyn Error>> {
        let generated = generate()?;
        assert!(generated.len() > 10, "only {:?}", generated.keys());

        for (name, text) in generated {
            let committed = generated_dir().join(&name);
            if std::env::var_os("UPDATE_GENERATED").is_some() {
                fs::write(&committed, &text)?;
            }
            assert!(
                fs::read_to_string(&committed).unwrap_or_default() == text,
                "src/api/pb/{name} is stale: run this test with UPDATE_GENERATED=1"
            );
        }
        Ok(())
    }

    /// Fields, enums and methods of the reference, extracted from its own definitions.
    const WIRE: &str = include_str!("../../../proto/wire.json");

    /// `field name → [number, type, label]` of every message.
    fn fields(message: &DescriptorProto, name: &str, found: &mut BTreeMap<String, Value>) {
        let fields = message.field.iter().map(|field| {
            let kind = match field.type_name() {
                "" => format!("{:?}", field.r#type()).to_lowercase(),
                name => name.trim_start_matches('.').to_owned(),
            };
            let label = format!("{:?}", field.label()).to_lowercase();
            (
                field.name().to_owned(),
                json!([field.number(), kind, label]),
            )
        });
        found.insert(name.to_owned(), Value::Object(fields.collect()));
        for nested in &message.nested_type {
            if !nested
                .options
                .as_ref()
                .is_some_and(|options| options.map_entry())
            {
                fields_of(nested, name, found);
            }
        }
    }

    fn fields_of(message: &DescriptorProto, scope: &str, found: &mut BTreeMap<String, Value>) {
        fields(message, &format!("{scope}.{}", message.name()), found);
    }

    #[test]
    fn the_proto_files_have_the_numbers_of_the_reference() -> Result<(), Box<dyn Error>> {
        let wire: Value = serde_json::from_str(WIRE)?;
        let descriptors = protox::compile(sources()?, [proto_dir()])?;
        let mut messages = BTreeMap::new();
        let mut methods = BTreeMap::new();
        for file in &descriptors.file {
            if file.package().starts_with("google.protobuf") {
                continue;
            }
            for message in &file.message_type {
                fields_of(message, file.package(), &mut messages);
            }
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let types = [method.input_type(), method.output_type()];
                    let [input, output] = types.map(|name| name.trim_start_matches('.'));
                    let streams = (method.client_streaming(), method.server_streaming());
                    methods.insert(path, json!([input, output, streams.0, streams.1]));
                }
            }
        }

        for (name, message) in &messages {
            assert_eq!(wire["messages"][name], *message, "{name}");
        }
        assert_eq!(
            wire["messages"].as_object().map(Map::len),
            Some(messages.len())
        );
        for (path, method) in &methods {
            assert_eq!(wire["methods"][path], *method, "{path}");
        }
        Ok(())
    }
}
