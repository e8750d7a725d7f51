//! etcd, as its member on this node sees it.

use super::reply::only;
use super::{Machine, machine_service};
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;

/// A member of the etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdMember {
    /// Its id; Talos writes it as sixteen hexadecimal digits.
    pub id: u64,
    /// The node it runs on.
    pub hostname: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// Whether it does not vote yet.
    pub is_learner: bool,
}

/// State of the local member.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdStatus {
    /// Its id.
    pub member_id: u64,
    /// The id of the leader; zero when there is none.
    pub leader: u64,
    /// Version of the protocol.
    pub protocol_version: String,
    /// Size of the database file in bytes.
    pub db_size: i64,
    /// What of it is in use, in bytes.
    pub db_size_in_use: i64,
    /// Whether it does not vote yet.
    pub is_learner: bool,
    /// Alarms and corruption.
    pub errors: Vec<String>,
}

impl Machine {
    /// Lists the members of etcd. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] on a worker, [`crate::ErrorKind::Server`] while etcd is down.
    pub async fn etcd_members(&self) -> Result<Vec<EtcdMember>> {
        const OPERATION: &str = "list etcd members";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                let request = pb::EtcdMemberListRequest::default();
                machine_service(service).etcd_member_list(request).await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        Ok(message
            .members
            .into_iter()
            .map(|member| EtcdMember {
                id: member.id,
                hostname: member.hostname,
                peer_urls: member.peer_urls,
                client_urls: member.client_urls,
                is_learner: member.is_learner,
            })
            .collect())
    }

    /// State of the local member of etcd. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::etcd_members`].
    pub async fn etcd_status(&self) -> Result<EtcdStatus> {
        const OPERATION: &str = "read etcd status";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                machine_service(service).etcd_status(()).await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        let status = message.member_status.unwrap_or_default();
        Ok(EtcdStatus {
            member_id: status.member_id,
            leader: status.leader,
            protocol_version: status.protocol_version,
            db_size: status.db_size,
            db_size_in_use: status.db_size_in_use,
            is_learner: status.is_learner,
            errors: status.errors,
        })
    }
}
