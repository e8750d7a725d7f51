//! Waiting for tasks.

use std::time::Duration;

use futures_util::TryStreamExt;
use proxmox_client::mock::{Fault, PveMock, Route};
use proxmox_client::task::TaskStatus;
use proxmox_client::vm::VmSpec;
use proxmox_client::{ErrorKind, Poll, Reason};

use super::{node, poll, vm_id};

fn stopped_vm(mock: &PveMock) -> proxmox_client::Vm {
    mock.add_vm(vm_id(), &[("memory", "2048")]);
    mock.client().node(node()).vm(vm_id())
}

#[tokio::test]
async fn a_task_is_asked_until_it_is_done() {
    let mock = PveMock::builder().task_polls(3).start().await;
    let vm = stopped_vm(&mock);

    let task = vm.start().await.unwrap();
    assert_eq!(task.status().await.unwrap(), TaskStatus::Running);
    task.wait(poll()).await.unwrap();

    mock.assert_called(Route::TaskStatus, 4);
    assert!(mock.vm(vm_id()).unwrap().running);
}

#[tokio::test]
async fn a_task_by_its_id_can_be_waited_for_after_a_restart() {
    let mock = PveMock::start().await;
    let id = stopped_vm(&mock).start().await.unwrap().id().to_string();

    let task = mock.client().task(id.parse().unwrap());

    assert_eq!(task.id().worker(), "qmstart");
    task.wait(poll()).await.unwrap();
}

#[tokio::test]
async fn warnings_are_a_success_and_are_returned() {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), &[("bios", "ovmf")]);

    let task = mock
        .client()
        .node(node())
        .vm(vm_id())
        .start()
        .await
        .unwrap();
    let completion = task.wait(poll()).await.unwrap();

    assert_eq!(completion.warnings.len(), 1);
    assert!(completion.warnings[0].contains("no efidisk configured"));
}

#[tokio::test]
async fn a_failed_task_has_exit_text_log_and_meaning() {
    let mock = PveMock::start().await;
    let vm = stopped_vm(&mock);
    mock.fail_next_task("bridge 'vmbr9' does not exist");

    let task = vm.start().await.unwrap();
    let error = task.wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    assert_eq!(error.reason(), Some(Reason::BridgeMissing));
    let failure = error.task().unwrap();
    assert_eq!(failure.exit_text, "bridge 'vmbr9' does not exist");
    assert_eq!(failure.log, ["TASK ERROR: bridge 'vmbr9' does not exist"]);
    assert_eq!(&failure.id, task.id());
    assert!(!mock.vm(vm_id()).unwrap().running);
}

#[tokio::test]
async fn a_creation_that_met_a_locked_storage_can_be_repeated_as_a_whole() {
    let mock = PveMock::start().await;
    mock.fail_next_task(
        "unable to create VM 2411000 - can't lock file '/var/lock/pve-manager/pve-storage-nvme-lvm' - got timeout",
    );
    let client = mock.client();
    let spec = VmSpec::new(vm_id(), "tal01");

    let error = client
        .node(node())
        .create_vm(&spec)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap_err();

    assert!(error.is_retryable() && !error.may_have_taken_effect());
    assert!(mock.vm(vm_id()).is_none());
    client
        .node(node())
        .create_vm(&spec)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();
}

#[tokio::test]
async fn failures_of_single_questions_are_tolerated() {
    let mock = PveMock::start().await;
    let vm = stopped_vm(&mock);
    let task = vm.start().await.unwrap();
    for _ in 0..8 {
        mock.fail_next(Route::TaskStatus, Fault::Status(596, "Broken pipe".into()));
    }
    mock.fail_next(Route::TaskStatus, Fault::Disconnect);
    mock.fail_next(Route::TaskStatus, Fault::Status(500, "strange".into()));

    task.wait(poll()).await.unwrap();
}

#[tokio::test]
async fn what_no_repetition_changes_ends_the_wait() {
    let mock = PveMock::start().await;
    let task = stopped_vm(&mock).start().await.unwrap();
    mock.fail_always(
        Route::TaskStatus,
        Fault::forbidden("/nodes/pve-01", "Sys.Audit"),
    );

    let error = task.wait(poll()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn after_the_deadline_the_task_goes_on_and_its_id_is_known() {
    let mock = PveMock::builder().task_polls(u32::MAX).start().await;
    let task = stopped_vm(&mock).start().await.unwrap();
    let short = Poll::every(Duration::from_millis(2)).deadline(Duration::from_millis(20));

    let error = task.wait(short).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(&error.task().unwrap().id, task.id());
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn log_lines_are_streamed_once_each_until_the_task_ends() {
    let mock = PveMock::start().await;
    let client = mock.client();
    let disk = proxmox_client::vm::Disk::new(super::storage("nvme-lvm"), 1);
    let spec = VmSpec::new(vm_id(), "tal01").disk(proxmox_client::vm::Slot::Scsi(0), disk);

    let task = client.node(node()).create_vm(&spec).await.unwrap();
    let lines: Vec<String> = task.log_lines(poll()).try_collect().await.unwrap();

    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("successfully created disk 'nvme-lvm:vm-2411000-disk-0"));
    assert_eq!(lines[1], "TASK OK");
}

#[tokio::test]
async fn an_observer_sees_every_probe_with_the_newest_line_of_the_log() {
    let mock = PveMock::builder().task_polls(3).start().await;
    let task = stopped_vm(&mock).start().await.unwrap();
    let mut seen = Vec::new();

    task.wait_observed(poll(), |state| {
        seen.push((state.attempt, state.to_string()))
    })
    .await
    .unwrap();

    let text = "waiting for qmstart 2411000 to end: running".to_owned();
    assert_eq!(seen, [(1, text.clone()), (2, text.clone()), (3, text)]);
}

#[tokio::test]
async fn a_stopped_task_is_a_failed_one() {
    let mock = PveMock::builder().task_polls(100).start().await;
    let task = stopped_vm(&mock).start().await.unwrap();

    task.abort().await.unwrap();
    let error = task.wait(poll()).await.unwrap_err();

    assert_eq!(error.reason(), Some(Reason::TaskInterrupted));
}

#[tokio::test]
async fn tasks_with_a_delay_end_without_being_asked() {
    let mock = PveMock::builder()
        .task_delay(Duration::from_millis(10))
        .start()
        .await;
    let vm = stopped_vm(&mock);
    let events = mock.events();

    let task = vm.start().await.unwrap();

    let event = futures_util::StreamExt::next(&mut std::pin::pin!(events)).await;
    assert_eq!(
        event,
        Some(proxmox_client::mock::MockEvent::VmStarted { vmid: vm_id() })
    );
    task.wait(poll()).await.unwrap();
}
