//! etcd, as its member on this node sees it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;
use crate::{Error, ErrorKind, Result};

/// The id of a member of etcd; printed as sixteen hexadecimal digits, as Talos and etcd do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EtcdMemberId(pub u64);

impl fmt::Display for EtcdMemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for EtcdMemberId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        u64::from_str_radix(text, 16).map(Self).map_err(|source| {
            Error::new(ErrorKind::InvalidInput, "parse etcd member id")
                .with_target(text)
                .with_message("an etcd member id has up to sixteen hexadecimal digits")
                .with_source(source)
        })
    }
}

impl TryFrom<String> for EtcdMemberId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<EtcdMemberId> for String {
    fn from(id: EtcdMemberId) -> Self {
        id.to_string()
    }
}

/// A member of the etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EtcdMember {
    /// Its id.
    pub id: EtcdMemberId,
    /// The host name of its node; empty until it has started for the first time.
    pub hostname: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// Whether it does not vote yet.
    pub is_learner: bool,
}

/// State of the local member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EtcdStatus {
    /// Its id.
    pub member_id: EtcdMemberId,
    /// The id of the leader; `None` when there is none.
    pub leader: Option<EtcdMemberId>,
    /// Version of etcd, for example `3.5.21`.
    pub protocol_version: String,
    /// Version of the storage; empty before Talos v1.11.
    pub storage_version: String,
    /// Size of the database file in bytes.
    pub db_size: i64,
    /// The part of it that is in use, in bytes. The rest is freed by [`Machine::etcd_defragment`].
    pub db_size_in_use: i64,
    /// Position of the log.
    pub raft_index: u64,
    /// Number of the election.
    pub raft_term: u64,
    /// Position up to which the log is applied.
    pub raft_applied_index: u64,
    /// Whether it does not vote yet.
    pub is_learner: bool,
    /// Alarms and corruption.
    pub errors: Vec<String>,
}

/// The kind of an alarm of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EtcdAlarmKind {
    /// None, or one that this version of the crate does not know.
    None,
    /// The database has reached its quota; etcd accepts no writes.
    NoSpace,
    /// The data of a member differs from that of the others.
    Corrupt,
}

/// An alarm of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EtcdAlarm {
    /// The member that raised it.
    pub member_id: EtcdMemberId,
    /// Its kind.
    pub kind: EtcdAlarmKind,
}

impl Machine {
    /// Lists the members of etcd, as a member with a quorum sees them. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Server`] while etcd has no quorum.
    pub async fn etcd_members(&self) -> Result<Vec<EtcdMember>> {
        self.member_list(pb::EtcdMemberListRequest::default()).await
    }

    /// As [`Machine::etcd_members`], asking only the member on this node.
    ///
    /// # Errors
    /// As [`Machine::etcd_members`].
    pub async fn local_etcd_members(&self) -> Result<Vec<EtcdMember>> {
        self.member_list(pb::EtcdMemberListRequest { query_local: true })
            .await
    }

    async fn member_list(&self, request: pb::EtcdMemberListRequest) -> Result<Vec<EtcdMember>> {
        let call = Call::read("list etcd members");
        let message = self
            .unary(call, |mut machine| async move {
                machine.etcd_member_list(request).await
            })
            .await?;
        Ok(message.members.into_iter().map(member).collect())
    }

    /// State of the local member of etcd. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::etcd_members`].
    pub async fn etcd_status(&self) -> Result<EtcdStatus> {
        let call = Call::read("read etcd status");
        let message = self
            .unary(
                call,
                |mut machine| async move { machine.etcd_status(()).await },
            )
            .await?;
        let status = message.member_status.unwrap_or_default();
        Ok(EtcdStatus {
            member_id: EtcdMemberId(status.member_id),
            leader: (status.leader != 0).then_some(EtcdMemberId(status.leader)),
            protocol_version: status.protocol_version,
            storage_version: status.storage_version,
            db_size: status.db_size,
            db_size_in_use: status.db_size_in_use,
            raft_index: status.raft_index,
            raft_term: status.raft_term,
            raft_applied_index: status.raft_applied_index,
            is_learner: status.is_learner,
            errors: status.errors,
        })
    }

    /// Lists the alarms of etcd. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Server`] while the local member is down.
    pub async fn etcd_alarms(&self) -> Result<Vec<EtcdAlarm>> {
        let call = Call::read("list etcd alarms");
        let message = self
            .unary(call, |mut machine| async move {
                machine.etcd_alarm_list(()).await
            })
            .await?;
        Ok(message.member_alarms.into_iter().map(alarm).collect())
    }

    /// Disarms all alarms of etcd, and returns those that were raised. Needs `os:operator`.
    ///
    /// May be repeated. An alarm is raised again when its cause still exists.
    ///
    /// # Errors
    /// As [`Machine::etcd_alarms`].
    pub async fn etcd_disarm_alarms(&self) -> Result<Vec<EtcdAlarm>> {
        let call = Call::set("disarm etcd alarms");
        let message = self
            .unary(call, |mut machine| async move {
                machine.etcd_alarm_disarm(()).await
            })
            .await?;
        Ok(message.member_alarms.into_iter().map(alarm).collect())
    }

    /// Frees the unused part of the database of the local member. Needs `os:operator`.
    ///
    /// The member does not answer meanwhile: defragment one member at a time. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::etcd_alarms`].
    pub async fn etcd_defragment(&self) -> Result<()> {
        let call = Call::set("defragment etcd").at_least(LONG);
        self.unary(call, |mut machine| async move {
            machine.etcd_defragment(()).await
        })
        .await?;
        Ok(())
    }

    /// Makes the local member give up its leadership. Needs `os:admin`. Returns the host name of the new leader, or `None`
    /// when the local member was not the leader.
    ///
    /// May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Server`] when there is no other member or no quorum.
    pub async fn etcd_forfeit_leadership(&self) -> Result<Option<String>> {
        let call = Call::set("forfeit etcd leadership");
        let message = self
            .unary(call, |mut machine| async move {
                let request = pb::EtcdForfeitLeadershipRequest::default();
                machine.etcd_forfeit_leadership(request).await
            })
            .await?;
        Ok(Some(message.member).filter(|member| !member.is_empty()))
    }

    /// Makes the local member leave the etcd cluster. Needs `os:admin`.
    ///
    /// The node joins again as soon as its etcd restarts, unless it is reset. Not to be repeated blindly: after a lost
    /// response compare [`Machine::etcd_members`] of another node.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Server`] when etcd refuses, for example the last member.
    pub async fn etcd_leave(&self) -> Result<()> {
        let call = Call::change("leave etcd");
        self.unary(call, |mut machine| async move {
            let request = pb::EtcdLeaveClusterRequest::default();
            machine.etcd_leave_cluster(request).await
        })
        .await?;
        Ok(())
    }

    /// Removes a member, usually one whose node is lost, from the etcd cluster. Needs `os:admin`.
    ///
    /// Call it on another member. Returns whether there was such a member, and may therefore be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Server`] when etcd has no quorum or refuses.
    pub async fn etcd_remove_member(&self, id: EtcdMemberId) -> Result<bool> {
        let call = Call::set("remove etcd member");
        let result = self
            .unary(call, |mut machine| async move {
                let request = pb::EtcdRemoveMemberByIdRequest { member_id: id.0 };
                machine.etcd_remove_member_by_id(request).await
            })
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Checks whether etcd could be downgraded to a version such as `3.5`. Needs `os:admin`; since v1.11. May be repeated.
    ///
    /// Returns the version of the cluster.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] for a version that is not `MAJOR.MINOR` or below 3.5, [`ErrorKind::Server`] when etcd
    /// refuses, [`ErrorKind::Unsupported`] on a worker and before v1.11.
    pub async fn etcd_validate_downgrade(&self, version: &str) -> Result<String> {
        let call = Call::read("validate etcd downgrade");
        let version = version.to_owned();
        let message = self
            .unary(call, |mut machine| {
                let version = version.clone();
                async move {
                    let request = pb::EtcdDowngradeValidateRequest { version };
                    machine.etcd_downgrade_validate(request).await
                }
            })
            .await?;
        Ok(message
            .cluster_downgrade
            .unwrap_or_default()
            .cluster_version)
    }

    /// Begins the downgrade of etcd to a version such as `3.5`. Needs `os:admin`; since v1.11.
    ///
    /// Returns the version of the cluster.
    ///
    /// # Errors
    /// As [`Machine::etcd_validate_downgrade`].
    pub async fn etcd_enable_downgrade(&self, version: &str) -> Result<String> {
        let call = Call::change("enable etcd downgrade");
        let version = version.to_owned();
        let message = self
            .unary(call, |mut machine| {
                let version = version.clone();
                async move {
                    let request = pb::EtcdDowngradeEnableRequest { version };
                    machine.etcd_downgrade_enable(request).await
                }
            })
            .await?;
        Ok(message
            .cluster_downgrade
            .unwrap_or_default()
            .cluster_version)
    }

    /// Cancels the downgrade of etcd. Needs `os:admin`; since v1.11. Returns the version of the cluster.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when none is in progress, else as [`Machine::etcd_validate_downgrade`].
    pub async fn etcd_cancel_downgrade(&self) -> Result<String> {
        let call = Call::change("cancel etcd downgrade");
        let message = self
            .unary(call, |mut machine| async move {
                machine.etcd_downgrade_cancel(()).await
            })
            .await?;
        Ok(message
            .cluster_downgrade
            .unwrap_or_default()
            .cluster_version)
    }
}

/// Defragmenting a large database takes minutes.
const LONG: std::time::Duration = std::time::Duration::from_mins(5);

fn member(member: pb::EtcdMember) -> EtcdMember {
    EtcdMember {
        id: EtcdMemberId(member.id),
        hostname: member.hostname,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
        is_learner: member.is_learner,
    }
}

fn alarm(alarm: pb::EtcdMemberAlarm) -> EtcdAlarm {
    use pb::etcd_member_alarm::AlarmType;
    EtcdAlarm {
        member_id: EtcdMemberId(alarm.member_id),
        kind: match alarm.alarm() {
            AlarmType::None => EtcdAlarmKind::None,
            AlarmType::Nospace => EtcdAlarmKind::NoSpace,
            AlarmType::Corrupt => EtcdAlarmKind::Corrupt,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_and_printed_as_etcd_does() {
        let id: EtcdMemberId = "08e9e05c52164694".parse().unwrap();

        assert_eq!(id, EtcdMemberId(0x08e9_e05c_5216_4694));
        assert_eq!(id.to_string(), "08e9e05c52164694");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"08e9e05c52164694\"");
        assert_eq!(
            "tal01".parse::<EtcdMemberId>().unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
