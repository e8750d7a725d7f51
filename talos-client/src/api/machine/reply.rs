//! Unpacking the reply envelope.

use crate::api::channel::Transport;
use crate::api::pb::{common, inspect, machine, storage, time};
use crate::{Code, Error, ErrorKind, Result, api::status};

/// A reply: a list of messages, one per node.
pub(crate) trait Reply {
    type Message: Message;
    fn messages(self) -> Vec<Self::Message>;
}

/// One node's message; its metadata is filled only when the call was passed on to several nodes.
pub(crate) trait Message {
    fn metadata(&self) -> Option<&common::Metadata>;
}

macro_rules! replies {
    ($($reply:path => $message:path),+ $(,)?) => {$(
        impl Reply for $reply {
            type Message = $message;
            fn messages(self) -> Vec<$message> {
                self.messages
            }
        }
        impl Message for $message {
            fn metadata(&self) -> Option<&common::Metadata> {
                self.metadata.as_ref()
            }
        }
    )+};
}

replies! {
    inspect::ControllerRuntimeDependenciesResponse => inspect::ControllerRuntimeDependency,
    machine::ApplyConfigurationResponse => machine::ApplyConfiguration,
    machine::BootstrapResponse => machine::Bootstrap,
    machine::ContainersResponse => machine::Container,
    machine::CpuFreqStatsResponse => machine::CpUsFreqStats,
    machine::CpuInfoResponse => machine::CpUsInfo,
    machine::DiskStatsResponse => machine::DiskStats,
    machine::EtcdAlarmDisarmResponse => machine::EtcdAlarmDisarm,
    machine::EtcdAlarmListResponse => machine::EtcdAlarm,
    machine::EtcdDefragmentResponse => machine::EtcdDefragment,
    machine::EtcdDowngradeCancelResponse => machine::EtcdDowngradeCancel,
    machine::EtcdDowngradeEnableResponse => machine::EtcdDowngradeEnable,
    machine::EtcdDowngradeValidateResponse => machine::EtcdDowngradeValidate,
    machine::EtcdForfeitLeadershipResponse => machine::EtcdForfeitLeadership,
    machine::EtcdLeaveClusterResponse => machine::EtcdLeaveCluster,
    machine::EtcdMemberListResponse => machine::EtcdMembers,
    machine::EtcdRecoverResponse => machine::EtcdRecover,
    machine::EtcdRemoveMemberByIdResponse => machine::EtcdRemoveMemberById,
    machine::EtcdStatusResponse => machine::EtcdStatus,
    machine::GenerateClientConfigurationResponse => machine::GenerateClientConfiguration,
    machine::HostnameResponse => machine::Hostname,
    machine::ImagePullResponse => machine::ImagePull,
    machine::LoadAvgResponse => machine::LoadAvg,
    machine::LogsContainersResponse => machine::LogsContainer,
    machine::MemoryResponse => machine::Memory,
    machine::MetaDeleteResponse => machine::MetaDelete,
    machine::MetaWriteResponse => machine::MetaWrite,
    machine::MountsResponse => machine::Mounts,
    machine::NetstatResponse => machine::Netstat,
    machine::NetworkDeviceStatsResponse => machine::NetworkDeviceStats,
    machine::ProcessesResponse => machine::Process,
    machine::RebootResponse => machine::Reboot,
    machine::ResetResponse => machine::Reset,
    machine::RestartResponse => machine::Restart,
    machine::RollbackResponse => machine::Rollback,
    machine::ServiceListResponse => machine::ServiceList,
    machine::ServiceRestartResponse => machine::ServiceRestart,
    machine::ServiceStartResponse => machine::ServiceStart,
    machine::ServiceStopResponse => machine::ServiceStop,
    machine::ShutdownResponse => machine::Shutdown,
    machine::StatsResponse => machine::Stats,
    machine::SystemStatResponse => machine::SystemStat,
    machine::UpgradeResponse => machine::Upgrade,
    machine::VersionResponse => machine::Version,
    storage::BlockDeviceWipeResponse => storage::BlockDeviceWipe,
    storage::DisksResponse => storage::Disks,
    time::TimeResponse => time::Time,
}

/// The only message of a reply.
pub(crate) fn only<R: Reply>(
    transport: &Transport,
    operation: &'static str,
    reply: R,
) -> Result<R::Message> {
    let mut messages = reply.messages();
    let count = messages.len();
    match messages.pop() {
        Some(message) if count == 1 => {
            check(operation, message.metadata())
                .map_err(|error| error.with_target(transport.target()))?;
            Ok(message)
        }
        _ => Err(Error::new(ErrorKind::Decode, operation)
            .with_target(transport.target())
            .with_message(format!("expected one message in the reply, got {count}"))),
    }
}

/// Fails when a message carries the error of its node instead of an answer.
pub(crate) fn check(operation: &'static str, metadata: Option<&common::Metadata>) -> Result<()> {
    let Some(metadata) = metadata.filter(|metadata| !metadata.error.is_empty()) else {
        return Ok(());
    };
    let (code, message) = match &metadata.status {
        Some(status) => (Code::from_number(status.code), status.message.as_str()),
        None => (Code::Unknown, metadata.error.as_str()),
    };
    Err(status::from_code(operation, code, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::google::rpc;

    #[test]
    fn an_error_inside_a_message_has_the_code_of_its_status() {
        let metadata = common::Metadata {
            hostname: "10.0.2.11".to_owned(),
            error: "rpc error: code = NotFound desc = no such file".to_owned(),
            status: Some(rpc::Status {
                code: Code::NotFound.number(),
                message: "no such file".to_owned(),
                details: Vec::new(),
            }),
        };

        let error = check("read file", Some(&metadata)).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.message(), "no such file");
    }

    #[test]
    fn a_host_name_alone_is_no_error() {
        let metadata = common::Metadata {
            hostname: "10.0.2.11".to_owned(),
            ..Default::default()
        };

        assert!(check("read file", Some(&metadata)).is_ok());
    }
}
