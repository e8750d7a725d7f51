//! Storages.

use std::path::PathBuf;

use crate::id::{NodeName, StorageName};

/// A storage of the mock: name, plug-in, content types, size, and where it is.
#[derive(Debug, Clone)]
#[must_use = "a storage does nothing until it is given to the mock's builder"]
pub struct MockStorage {
    pub(in crate::mock) name: StorageName,
    pub(in crate::mock) kind: String,
    pub(in crate::mock) content: Vec<String>,
    pub(in crate::mock) size: u64,
    pub(in crate::mock) path: String,
    pub(in crate::mock) disabled: bool,
    pub(in crate::mock) nodes: Vec<NodeName>,
    pub(in crate::mock) shared: bool,
    pub(in crate::mock) states_sizes: bool,
    pub(in crate::mock) snippets: Option<PathBuf>,
}

impl MockStorage {
    /// A directory for these content types (`iso`, `import`, `images`), of 100 GiB.
    pub fn directory(name: StorageName, content: &[&str]) -> Self {
        Self::new(name, "dir", content)
    }

    /// An LVM-thin pool for VM disks, of 1 TiB.
    pub fn lvm_thin(name: StorageName) -> Self {
        Self {
            size: 1 << 40,
            ..Self::new(name, "lvmthin", &["images", "rootdir"])
        }
    }

    fn new(name: StorageName, kind: &str, content: &[&str]) -> Self {
        let path = match name.as_str() {
            "local" => "/var/lib/vz".to_owned(),
            other => format!("/mnt/pve/{other}"),
        };
        Self {
            kind: kind.to_owned(),
            content: content.iter().map(|word| (*word).to_owned()).collect(),
            size: 100 << 30,
            path,
            disabled: false,
            nodes: Vec::new(),
            shared: false,
            states_sizes: true,
            snippets: None,
            name,
        }
    }

    /// Sets the size in bytes. A volume that does not fit makes its task fail.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes;
        self
    }

    /// Sets the directory of a storage of files.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Disables the storage.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Makes the storage available on this node only; may be repeated.
    pub fn only_on(mut self, node: NodeName) -> Self {
        self.nodes.push(node);
        self
    }

    /// Lets all nodes see the same files.
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Leaves the sizes of volumes out, as a plug-in does that cannot tell them.
    pub fn without_sizes(mut self) -> Self {
        self.states_sizes = false;
        self
    }

    /// Takes the files of this folder for the snippets of the storage: the API has no way to put one there.
    pub fn snippets_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.snippets = Some(folder.into());
        self
    }

    pub(in crate::mock) fn holds_files(&self) -> bool {
        self.kind == "dir"
    }

    pub(in crate::mock) fn is_on(&self, node: &NodeName) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }

    pub(in crate::mock) fn supports(&self, content: &str) -> bool {
        self.content.iter().any(|word| word == content)
    }

    /// The path of a volume on the node.
    pub(in crate::mock) fn path_of(&self, name: &str) -> String {
        if !self.holds_files() {
            return format!("/dev/{}/{name}", self.name);
        }
        let below = match name.split_once('/') {
            Some(("iso", file)) => format!("template/iso/{file}"),
            Some(("vztmpl", file)) => format!("template/cache/{file}"),
            Some(("backup", file)) => format!("dump/{file}"),
            Some(("import" | "snippets", _)) => name.to_owned(),
            _ => format!("images/{name}"),
        };
        format!("{}/{below}", self.path)
    }
}
