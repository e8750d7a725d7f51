//! Volumes of LVM and arrays of software RAID on the disks of a mock node.

use std::collections::{BTreeMap, BTreeSet};

/// A volume group of LVM on a mock node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct MockVolumeGroup {
    name: String,
    devices: Vec<String>,
    volumes: BTreeSet<String>,
}

impl MockVolumeGroup {
    /// A group of these physical volumes, for example `/dev/sdb1`.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        devices: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            devices: devices.into_iter().map(Into::into).collect(),
            volumes: BTreeSet::new(),
        }
    }

    /// Adds a logical volume that nothing has opened.
    pub fn logical_volume(mut self, name: impl Into<String>) -> Self {
        self.volumes.insert(name.into());
        self
    }
}

/// Why LVM does not remove something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    InUse,
}

/// What is on the disks.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    /// The logical volumes of each group.
    groups: BTreeMap<String, BTreeSet<String>>,
    /// The physical volumes, and the groups they belong to.
    devices: BTreeMap<String, Option<String>>,
    arrays: BTreeSet<String>,
}

impl Volumes {
    pub(super) fn add(&mut self, group: MockVolumeGroup) {
        for device in group.devices {
            self.devices.insert(device, Some(group.name.clone()));
        }
        self.groups.insert(group.name, group.volumes);
    }

    pub(super) fn add_array(&mut self, device: String) {
        self.arrays.insert(device);
    }

    pub(super) fn remove_volume(&mut self, group: &str, volume: &str) -> Result<(), Refusal> {
        let volumes = self.groups.get_mut(group);
        found(volumes.is_some_and(|volumes| volumes.remove(volume)))
    }

    /// `vgremove --yes` removes the logical volumes too, and leaves the physical ones.
    pub(super) fn remove_group(&mut self, group: &str) -> Result<(), Refusal> {
        found(self.groups.remove(group).is_some())?;
        for of in self.devices.values_mut() {
            of.take_if(|name| name == group);
        }
        Ok(())
    }

    pub(super) fn remove_device(&mut self, device: &str) -> Result<(), Refusal> {
        match self.devices.get(device) {
            Some(Some(_)) => Err(Refusal::InUse),
            _ => found(self.devices.remove(device).is_some()),
        }
    }

    pub(super) fn destroy_array(&mut self, device: &str) -> Result<(), Refusal> {
        found(self.arrays.remove(device))
    }
}

fn found(is_there: bool) -> Result<(), Refusal> {
    if is_there {
        Ok(())
    } else {
        Err(Refusal::NotFound)
    }
}
