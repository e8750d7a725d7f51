//! Snippets: files in a folder of a storage, which the API lists and removes and never writes.

use super::state::{State, VolumeRecord};
use crate::id::VolumeId;

/// Looks into the folders of the storages.
pub(super) fn read_folders(state: &mut State) {
    let folders: Vec<_> = state
        .storages
        .iter()
        .filter_map(|storage| Some((storage.name.clone(), storage.snippets.clone()?)))
        .collect();
    for (storage, folder) in folders {
        let is_of = |id: &VolumeId| id.storage() == storage && id.name().starts_with("snippets/");
        state.volumes.retain(|id, _| !is_of(id));
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for file in files {
            let name = file.file_name();
            let id = VolumeId::new(format!("{storage}:snippets/{}", name.to_string_lossy()));
            if let (Ok(id), Ok(body)) = (id, std::fs::read(file.path())) {
                let record = VolumeRecord::file(id.clone(), "snippets", body.into(), None);
                state.volumes.insert(id, record);
            }
        }
    }
}

/// Removes the file of a snippet from its folder. Nothing happens for other volumes.
pub(super) fn remove_file(state: &State, id: &VolumeId) {
    let name = id.name().strip_prefix("snippets/");
    let storage = state.storage(id.storage().as_str()).ok();
    if let Some((folder, name)) = storage.and_then(|known| known.snippets.as_ref()).zip(name) {
        let _ = std::fs::remove_file(folder.join(name));
    }
}
