//! The resources about the machine: what it does, its release, its image.

use std::fmt::Write as _;

use super::{Resources, put, stage_number, unmet_conditions};
use crate::api::cosi::{
    ExtensionStatus, MachineStatus, SecurityState, SingletonSpec as _, TimeStatus, VersionStatus,
};
use crate::api::pb::definitions::{extensions, runtime, time};
use crate::mock::builder::Setup;
use crate::mock::node::State;

pub(super) fn machine(setup: &Setup, state: &State, resources: &mut Resources) {
    let unmet = unmet_conditions(state);
    let mut yaml = format!(
        "stage: {}\nstatus:\n    ready: {}\n    unmetConditions:",
        state.stage,
        unmet.is_empty()
    );
    yaml.push_str(if unmet.is_empty() { " []\n" } else { "\n" });
    for (name, reason) in &unmet {
        // Writing to a string cannot fail.
        let _ = write!(
            yaml,
            "        - name: {name}\n          reason: {reason:?}\n"
        );
    }
    put::<MachineStatus>(
        resources,
        MachineStatus::ID,
        &runtime::MachineStatusSpec {
            stage: stage_number(state.stage),
            status: Some(runtime::MachineStatusStatus {
                ready: unmet.is_empty(),
                unmet_conditions: unmet
                    .into_iter()
                    .map(|(name, reason)| runtime::UnmetCondition {
                        name: name.to_owned(),
                        reason,
                    })
                    .collect(),
            }),
        },
        yaml,
    );
    put::<VersionStatus>(
        resources,
        VersionStatus::ID,
        &runtime::VersionSpec {
            version: state.image.version.clone(),
            name: String::new(),
        },
        format!("version: {}\n", state.image.version),
    );
    put::<SecurityState>(
        resources,
        SecurityState::ID,
        &runtime::SecurityStateSpec {
            secure_boot: setup.is_secure_boot,
            booted_with_uki: setup.is_secure_boot,
            ..Default::default()
        },
        format!(
            "secureBoot: {0}\nukiSigningKeyFingerprint: \"\"\npcrSigningKeyFingerprint: \"\"\nselinuxState: permissive\nbootedWithUKI: {0}\n",
            setup.is_secure_boot
        ),
    );
    put::<TimeStatus>(
        resources,
        TimeStatus::ID,
        &time::StatusSpec {
            synced: state.is_time_synced,
            ..Default::default()
        },
        format!(
            "synced: {}\nepoch: 0\nsyncDisabled: false\n",
            state.is_time_synced
        ),
    );
    image(state, resources);
}

fn image(state: &State, resources: &mut Resources) {
    let schematic = state
        .image
        .schematic
        .iter()
        .map(|id| ("schematic", id.as_str()));
    let extensions = state
        .image
        .extensions
        .iter()
        .map(|name| (name.rsplit('/').next().unwrap_or(name), "v0"));
    for (index, (name, version)) in extensions.chain(schematic).enumerate() {
        let layer = format!("{index:03}.{name}");
        put::<ExtensionStatus>(
            resources,
            index.to_string(),
            &extensions::Layer {
                image: format!("{layer}.sqsh"),
                metadata: Some(extensions::Metadata {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    ..Default::default()
                }),
            },
            format!("image: {layer}.sqsh\nmetadata:\n    name: {name}\n    version: {version}\n"),
        );
    }
}
