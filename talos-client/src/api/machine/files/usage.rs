//! How much space files and directories take.

use serde::{Deserialize, Serialize};

use super::super::reply::check;
use super::super::{Machine, machine_service};
use crate::ResponseStream;
use crate::api::pb::machine as pb;

/// Which directories to measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct DiskUsageRequest {
    paths: Vec<String>,
    depth: u16,
    all: bool,
    threshold: i64,
}

impl DiskUsageRequest {
    /// The total of each path.
    pub fn of<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            depth: 0,
            all: false,
            threshold: 0,
        }
    }

    /// Also the totals of subdirectories, down to this level.
    pub fn depth(mut self, levels: u16) -> Self {
        self.depth = levels;
        self
    }

    /// Also each file.
    pub fn files(mut self) -> Self {
        self.all = true;
        self
    }

    /// Only what has at least this many bytes.
    pub fn at_least(mut self, bytes: u32) -> Self {
        self.threshold = i64::from(bytes);
        self
    }

    /// Only what has at most this many bytes.
    pub fn at_most(mut self, bytes: u32) -> Self {
        self.threshold = -i64::from(bytes);
        self
    }
}

/// How much space a file or directory takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiskUsage {
    /// Its absolute path.
    pub path: String,
    /// Its path below the measured directory.
    pub relative_path: String,
    /// Size in bytes, with everything below it.
    pub size: u64,
    /// Why it could not be read.
    pub error: Option<String>,
}

impl Machine {
    /// Streams how much space directories take, as `talosctl usage` prints it. Needs `os:reader`. May be repeated.
    ///
    /// The stream fails with [`crate::ErrorKind::Forbidden`] without the role.
    pub fn disk_usage(&self, request: DiskUsageRequest) -> ResponseStream<DiskUsage> {
        const OPERATION: &str = "measure disk usage";
        self.transport.stream(
            OPERATION,
            move |service| async move {
                let request = pb::DiskUsageRequest {
                    recursion_depth: i32::from(request.depth),
                    all: request.all,
                    threshold: request.threshold,
                    paths: request.paths,
                };
                machine_service(service).disk_usage(request).await
            },
            |info: pb::DiskUsageInfo| {
                check(OPERATION, info.metadata.as_ref())?;
                Ok(Some(DiskUsage {
                    path: info.name,
                    relative_path: info.relative_name,
                    size: u64::try_from(info.size).unwrap_or_default(),
                    error: Some(info.error).filter(|error| !error.is_empty()),
                }))
            },
        )
    }
}
