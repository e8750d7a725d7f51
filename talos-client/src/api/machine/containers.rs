//! Containers on the node.

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::{common, machine as pb};

/// Whose containers are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContainerNamespace {
    /// Those of Talos' own services.
    #[default]
    System,
    /// Those of Kubernetes.
    Kubernetes,
}

impl ContainerNamespace {
    fn to_wire(self) -> (String, i32) {
        let (name, driver) = match self {
            Self::System => ("system", common::ContainerDriver::Containerd),
            Self::Kubernetes => ("k8s.io", common::ContainerDriver::Cri),
        };
        (name.to_owned(), driver.into())
    }
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Container {
    /// Its id: the name of a service, or `<namespace>/<pod>:<container>:<beginning of its id>`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The pod; for containers of Talos itself the same as the id.
    pub pod_id: String,
    /// Its image.
    pub image: String,
    /// The id of its first process; 0 when it does not run.
    pub pid: u32,
    /// Its state in the words of the container runtime.
    pub status: String,
}

/// What a container uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContainerStatistics {
    /// Its id, as [`Container::id`].
    pub id: String,
    /// Its name.
    pub name: String,
    /// The pod.
    pub pod_id: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Processor time in nanoseconds.
    pub cpu: u64,
}

impl Machine {
    /// The containers of a namespace. `talosctl containers`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Server`] or [`crate::ErrorKind::Interrupted`] while the container runtime is down,
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13.
    pub async fn containers(&self, namespace: ContainerNamespace) -> Result<Vec<Container>> {
        let (namespace, driver) = namespace.to_wire();
        let request = pb::ContainersRequest { namespace, driver };
        let message = self
            .unary(Call::read("list containers"), |mut machine| {
                let request = request.clone();
                async move { machine.containers(request).await }
            })
            .await?;
        let containers = message.containers.into_iter().map(|container| Container {
            id: container.id,
            name: container.name,
            pod_id: container.pod_id,
            image: container.image,
            pid: container.pid,
            status: container.status,
        });
        Ok(containers.collect())
    }

    /// What the containers of a namespace use. `talosctl stats`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::containers`].
    pub async fn container_statistics(
        &self,
        namespace: ContainerNamespace,
    ) -> Result<Vec<ContainerStatistics>> {
        let (namespace, driver) = namespace.to_wire();
        let request = pb::StatsRequest { namespace, driver };
        let message = self
            .unary(Call::read("read container statistics"), |mut machine| {
                let request = request.clone();
                async move { machine.stats(request).await }
            })
            .await?;
        let statistics = message.stats.into_iter().map(|stat| ContainerStatistics {
            id: stat.id,
            name: stat.name,
            pod_id: stat.pod_id,
            memory: stat.memory_usage,
            cpu: stat.cpu_usage,
        });
        Ok(statistics.collect())
    }

    /// Restarts a container of Kubernetes by its [`Container::id`]. `talosctl restart -k`; needs `os:operator`.
    ///
    /// A repetition restarts it again.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Server`] when there is no such container.
    pub async fn restart_container(&self, namespace: ContainerNamespace, id: &str) -> Result<()> {
        let (namespace, driver) = namespace.to_wire();
        let request = pb::RestartRequest {
            namespace,
            id: id.to_owned(),
            driver,
        };
        self.unary(Call::change("restart container"), |mut machine| {
            let request = request.clone();
            async move { machine.restart(request).await }
        })
        .await
        .map(drop)
    }
}
