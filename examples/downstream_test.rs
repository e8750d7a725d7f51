//! How to test a program of your own against the mocks. The program below knows nothing of them.

use std::io::Write as _;

use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{Spec, StepId};
use proxmox_client::mock::{Fault, PveMock, Route};

/// A program of yours: it counts the VMs that run.
async fn running_vms(proxmox: &proxmox_client::Client) -> proxmox_client::Result<usize> {
    let mut running = 0;
    for info in proxmox.nodes().await? {
        let vms = proxmox.node(info.node).vms().await?;
        running += vms.iter().filter(|vm| vm.is_running()).count();
    }
    Ok(running)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    a_refusal_reaches_the_caller().await?;
    a_vm_of_a_cluster_is_counted().await?;
    writeln!(std::io::stdout(), "both tests passed")?;
    Ok(())
}

/// One server alone: it rejects the next request with the text of the real one.
async fn a_refusal_reaches_the_caller() -> Result<(), Box<dyn std::error::Error>> {
    let mock = PveMock::start().await;
    mock.fail_next(Route::Nodes, Fault::forbidden("/nodes", "Sys.Audit"));

    let refused = running_vms(&mock.client()).await;

    let kind = refused.err().map(|error| error.kind());
    assert_eq!(kind, Some(proxmox_client::ErrorKind::Forbidden));
    mock.assert_called(Route::Nodes, 1);
    Ok(())
}

/// All servers together: the Lab builds as much of a cluster as the test needs.
async fn a_vm_of_a_cluster_is_counted() -> Result<(), Box<dyn std::error::Error>> {
    let spec = Spec::load(concat!(env!("CARGO_MANIFEST_DIR"), "/lungmen.yaml"))?;
    let output = tempfile::tempdir()?;
    let lab = Lab::start().await?;

    let bootstrap = lab.bootstrap(spec).output(output.path()).build()?;
    bootstrap.run_until(StepId::Machine).await?;

    assert_eq!(running_vms(&lab.proxmox().client()).await?, 1);
    Ok(())
}
