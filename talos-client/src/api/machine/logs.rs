//! Logs and the kernel's messages.

use bytes::Bytes;

use serde::{Deserialize, Serialize};

use super::{Machine, machine_service};
use crate::api::channel::Call;
use crate::api::pb::{common, machine as pb};
use crate::{ResponseStream, Result};

/// Whose logs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum LogDriver {
    /// Talos' own services.
    #[default]
    Containerd,
    /// Containers of Kubernetes.
    Cri,
}

/// Which log to read, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct LogsRequest {
    namespace: String,
    id: String,
    driver: LogDriver,
    follow: bool,
    tail_lines: Option<u16>,
}

impl LogsRequest {
    /// The log of a Talos service such as `etcd` or `kubelet`.
    pub fn service(id: impl Into<String>) -> Self {
        Self {
            namespace: "system".to_owned(),
            id: id.into(),
            driver: LogDriver::Containerd,
            follow: false,
            tail_lines: None,
        }
    }

    /// The log of a Kubernetes container, `<namespace>/<pod>:<container>:<begin of its id>`.
    pub fn container(id: impl Into<String>) -> Self {
        Self {
            namespace: "k8s.io".to_owned(),
            driver: LogDriver::Cri,
            ..Self::service(id)
        }
    }

    /// Stays connected and sends new lines too.
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Begins with so many past lines instead of all.
    pub fn tail_lines(mut self, lines: u16) -> Self {
        self.tail_lines = Some(lines);
        self
    }

    fn to_wire(&self) -> pb::LogsRequest {
        let driver = match self.driver {
            LogDriver::Containerd => common::ContainerDriver::Containerd,
            LogDriver::Cri => common::ContainerDriver::Cri,
        };
        pb::LogsRequest {
            namespace: self.namespace.clone(),
            id: self.id.clone(),
            driver: driver.into(),
            follow: self.follow,
            // Zero, the default of the wire, is a tail of no lines.
            tail_lines: self.tail_lines.map_or(-1, i32::from),
        }
    }
}

impl Machine {
    /// Streams a log in pieces of about a kilobyte, not in lines. Needs `os:reader`. May be repeated.
    ///
    /// The stream fails with [`crate::ErrorKind::Server`] when there is no such log.
    pub fn logs(&self, request: LogsRequest) -> ResponseStream<Bytes> {
        self.bytes("read logs", move |service| async move {
            machine_service(service).logs(request.to_wire()).await
        })
    }

    /// The ids of all logs of Talos' own services. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13.
    pub async fn log_ids(&self) -> Result<Vec<String>> {
        let call = Call::read("list logs");
        let message = self
            .unary(call, |mut machine| async move {
                machine.logs_containers(()).await
            })
            .await?;
        Ok(message.ids)
    }

    /// Streams what the kernel has logged, one record per item: `facility: priority: [time]: message`. Needs `os:reader`.
    pub fn dmesg(&self) -> ResponseStream<Bytes> {
        self.kernel_log(pb::DmesgRequest::default())
    }

    /// As [`Machine::dmesg`], and then what the kernel logs from now on. Ends only with its deadline.
    pub fn follow_dmesg(&self) -> ResponseStream<Bytes> {
        self.kernel_log(pb::DmesgRequest {
            follow: true,
            tail: false,
        })
    }

    /// What the kernel logs from now on. Ends only with its deadline.
    pub fn tail_dmesg(&self) -> ResponseStream<Bytes> {
        self.kernel_log(pb::DmesgRequest {
            follow: true,
            tail: true,
        })
    }

    fn kernel_log(&self, request: pb::DmesgRequest) -> ResponseStream<Bytes> {
        self.bytes("read kernel log", move |service| async move {
            machine_service(service).dmesg(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tail_asked_for_means_the_whole_log() {
        let wire = LogsRequest::service("etcd").to_wire();

        assert_eq!(wire.tail_lines, -1);
        assert_eq!(wire.namespace, "system");
        assert_eq!(
            LogsRequest::service("etcd")
                .tail_lines(5)
                .to_wire()
                .tail_lines,
            5
        );
    }

    #[test]
    fn a_container_is_read_through_the_container_runtime_interface() {
        let wire =
            LogsRequest::container("kube-system/kube-apiserver-tal01:kube-apiserver:0123456789ab")
                .follow()
                .to_wire();

        assert_eq!(wire.driver, i32::from(common::ContainerDriver::Cri));
        assert_eq!(wire.namespace, "k8s.io");
        assert!(wire.follow);
    }
}
