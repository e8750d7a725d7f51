//! What concerns the whole cluster: free ids, and where things are.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{NodeName, VmId};
use crate::request::Request;
use crate::vm::Vm;
use crate::wire;

/// A handle for cluster-wide calls, made by [`Client::cluster`].
#[derive(Debug, Clone)]
pub struct Cluster {
    client: Client,
}

/// A VM or container in the cluster's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GuestInfo {
    /// The id.
    #[serde(deserialize_with = "vm_id")]
    pub vmid: VmId,
    /// The node that has its configuration.
    pub node: NodeName,
    /// `qemu` or `lxc`.
    #[serde(rename = "type", deserialize_with = "wire::string")]
    pub kind: String,
    /// The name; missing for a moment after creation.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub name: Option<String>,
    /// `running`, `stopped`, or `unknown` for a moment after creation.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub status: Option<String>,
    /// The tags.
    #[serde(default, deserialize_with = "wire::list")]
    pub tags: Vec<String>,
}

fn vm_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<VmId, D::Error> {
    let number = wire::u64(deserializer)?;
    u32::try_from(number)
        .ok()
        .and_then(|number| VmId::new(number).ok())
        .ok_or_else(|| serde::de::Error::custom("not a VM id"))
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A free id. The server reserves nothing: somebody else can take it before it is used, so a
    /// creation that answers `AlreadyExists` has to be tried with another id.
    ///
    /// # Errors
    /// `Rejected` or `Server` when no ID is free in the configured range; `Connect`, `Certificate`, `Timeout`,
    /// `Interrupted`, `Unauthenticated`, `Decode`.
    pub async fn next_vm_id(&self) -> Result<VmId> {
        let request = Request::get("find a free VM id", "/cluster/nextid", &[]);
        let IdText(id) = self.client.transport().call(request).await?;
        Ok(id)
    }

    /// Whether no VM or container of the cluster has this id now.
    ///
    /// # Errors
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn is_vm_id_free(&self, id: VmId) -> Result<bool> {
        let request = Request::get("check VM id", "/cluster/nextid", &[])
            .target(format!("VM {id}"))
            .param("vmid", id.to_string());
        match self.client.transport().send(&request).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The VMs and containers that the caller may see.
    ///
    /// The list is refreshed about every ten seconds: good to find where something is, useless to
    /// wait for a change. Objects without `VM.Audit` are left out silently.
    ///
    /// # Errors
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn resources(&self) -> Result<Vec<GuestInfo>> {
        let request =
            Request::get("list cluster resources", "/cluster/resources", &[]).param("type", "vm");
        self.client.transport().call(request).await
    }

    /// The handle of a VM wherever it is, or `None` when the list does not have it.
    ///
    /// # Errors
    /// `Conflict` when the ID belongs to a container; `Connect`, `Certificate`, `Timeout`, `Interrupted`,
    /// `Unauthenticated`, `Server`, `Decode`.
    pub async fn find_vm(&self, id: VmId) -> Result<Option<Vm>> {
        let Some(guest) = self
            .resources()
            .await?
            .into_iter()
            .find(|guest| guest.vmid == id)
        else {
            return Ok(None);
        };
        if guest.kind != "qemu" {
            return Err(Error::new(ErrorKind::Conflict, "find VM")
                .with_target(format!("VM {id}"))
                .with_message(format!(
                    "the id belongs to a container on node {}",
                    guest.node
                )));
        }
        Ok(Some(self.client.node(guest.node).vm(id)))
    }
}

/// The free id comes as `"104"`, sometimes as `104`.
#[derive(Deserialize)]
struct IdText(#[serde(deserialize_with = "vm_id")] VmId);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_free_id_comes_as_text_or_number() {
        for value in [json!("104"), json!(104)] {
            let IdText(id) = serde_json::from_value(value).unwrap();
            assert_eq!(id.get(), 104);
        }
    }

    #[test]
    fn a_guest_without_name_and_status_is_read() {
        let guest: GuestInfo = serde_json::from_value(json!({
            "id": "qemu/104", "type": "qemu", "vmid": 104, "node": "pve-01", "tags": "a;b",
        }))
        .unwrap();

        assert_eq!(guest.name, None);
        assert_eq!(guest.tags, ["a", "b"]);
    }
}
