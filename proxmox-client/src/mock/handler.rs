//! From a checked request to its handler.

use serde_json::{Value, json};

use super::Shared;
use super::auth::{Caller, Login};
use super::check::Release;
use super::multipart::Upload;
use super::power::Look;
use super::reply::{Refusal, Reply};
use super::route::Route;
use super::state::State;
use super::{
    agent, backup, cluster, directory, firewall, ha, lifecycle, node, pool, power, snippets,
    storage, task, vm,
};
use crate::id::VmId;

/// A request whose caller and parameters are known to be good.
pub(super) struct Context<'a> {
    pub(super) shared: &'a Shared,
    pub(super) caller: &'a Caller,
    pub(super) params: &'a [(String, String)],
}

impl<'a> Context<'a> {
    /// A parameter that the contract requires.
    pub(super) fn param(&self, name: &str) -> &'a str {
        self.optional(name).unwrap_or_default()
    }

    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        self.params
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn vm_id(&self) -> Result<VmId, Refusal> {
        self.param("vmid")
            .parse()
            .map_err(|_| Refusal::parameter("vmid", "invalid format - not a VM id"))
    }

    pub(super) fn number_u64(&self, name: &str) -> Option<u64> {
        self.optional(name)?.parse().ok()
    }

    pub(super) fn number(&self, name: &str, default: usize) -> usize {
        self.optional(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }
}

/// Runs the handler of a route.
pub(super) fn handle(
    context: &Context<'_>,
    state: &mut State,
    route: Route,
    upload: Option<&Upload>,
) -> Reply {
    snippets::read_folders(state);
    match route {
        Route::Index => Ok(index()),
        Route::Upload => match upload {
            Some(upload) => storage::upload(context, state, upload),
            None => Err(Refusal::died("upload failed")),
        },
        _ => access(context, state, route)
            .or_else(|| cluster_call(context, state, route))
            .or_else(|| ha::call(context, state, route))
            .or_else(|| node_call(context, state, route))
            .or_else(|| storage_call(context, state, route))
            .or_else(|| vm_call(context, state, route))
            .or_else(|| guest_call(context, state, route))
            .unwrap_or_else(|| Err(Refusal::died(format!("the mock does not answer {route:?}")))),
    }
}

fn index() -> Value {
    let areas = ["version", "cluster", "nodes", "storage", "access", "pools"];
    areas.iter().map(|area| json!({ "subdir": area })).collect()
}

fn access(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    let release = state.contract.release();
    Some(match route {
        Route::Version => Ok(node::version(state)),
        Route::Permissions => permissions(context, release),
        Route::LogIn => state.accounts.log_in(
            release,
            &Login {
                user: context.param("username"),
                realm: context.optional("realm"),
                password: context.param("password"),
                otp: context.optional("otp"),
                challenge: context.optional("tfa-challenge"),
            },
        ),
        Route::ChangePassword => Ok(Value::Null),
        Route::Realms => Ok(directory::realms()),
        Route::Users => Ok(directory::users(state)),
        Route::CreateUser => directory::create_user(context, state),
        Route::UpdateUser => directory::update_user(context, state),
        Route::DeleteUser => directory::delete_user(context, state),
        Route::Tokens => directory::tokens(context, state),
        Route::CreateToken => directory::create_token(context, state),
        Route::UpdateToken => directory::update_token(context, state),
        Route::DeleteToken => directory::delete_token(context, state),
        Route::Roles => Ok(directory::roles(state)),
        Route::Role => directory::role(context, state),
        Route::CreateRole => directory::create_role(context, state),
        Route::UpdateRole => directory::update_role(context, state),
        Route::DeleteRole => directory::delete_role(context, state),
        Route::Acl => Ok(directory::acl(state)),
        Route::UpdateAcl => directory::update_acl(context, state),
        Route::Pools => pool::list(context, state),
        Route::CreatePool => pool::create(context, state),
        Route::UpdatePool => pool::update(context, state),
        Route::DeletePool => pool::delete(context, state),
        Route::Pool => pool::one(context, state),
        _ => return None,
    })
}

/// The privileges of another user need a right of the caller.
fn permissions(context: &Context<'_>, release: Release) -> Reply {
    if let Some(user) = context.optional("userid")
        && user != context.caller.id
    {
        context.caller.require("/access", &["Sys.Audit"])?;
    }
    Ok(context
        .caller
        .permissions(release, context.optional("path")))
}

fn cluster_call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    Some(match route {
        Route::NextVmId => cluster::next_id(context, state),
        Route::ClusterStatus => Ok(cluster::status(state)),
        Route::ClusterResources => Ok(cluster::resources(context, state)),
        Route::ClusterTasks => Ok(task::of_cluster(context, state)),
        Route::ClusterOptions => Ok(cluster::options(state)),
        Route::UpdateClusterOptions => cluster::update_options(context, state),
        Route::ClusterLog
        | Route::ClusterNodes
        | Route::BackupJobs
        | Route::ReplicationJobs
        | Route::PciMappings
        | Route::UsbMappings => Ok(json!([])),
        Route::Zones => Ok(cluster::zones(state)),
        Route::CreateZone => cluster::create_zone(context, state),
        Route::Vnets => Ok(cluster::vnets(state)),
        Route::CreateVnet => cluster::create_vnet(context, state),
        Route::ApplySdn => cluster::apply_sdn(context, state),
        _ => return None,
    })
}

fn node_call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    Some(match route {
        Route::Nodes => Ok(node::nodes(context, state)),
        Route::NodeStatus => Ok(node::status(state)),
        Route::NodeVersion => Ok(node::version(state)),
        Route::NodeCommand => Ok(Value::Null),
        Route::Dns => Ok(json!({ "dns1": "10.0.0.53" })),
        Route::Time => Ok(node::time(state)),
        Route::Services => Ok(node::services()),
        Route::Certificates => Ok(node::certificates(context)),
        Route::CpuModels => Ok(node::cpu_models(state)),
        Route::CpuFlags => Ok(node::cpu_flags()),
        Route::Machines => Ok(node::machines()),
        Route::MigrationCapabilities => Ok(json!({ "has-dbus-vmstate": false })),
        Route::Networks => node::networks(context, state),
        Route::Network => node::network(context, state),
        Route::UrlMetadata => url_metadata(context),
        Route::BackUp => backup::back_up(context, state),
        Route::Tasks => task::list(context, state),
        Route::TaskIndex => Ok(task::index()),
        Route::TaskStatus => task::status(context, state),
        Route::TaskLog => task::log(context, state),
        Route::StopTask => task::stop(context, state),
        _ => return None,
    })
}

/// Checks the right to ask, and returns the URL that the server then asks for.
fn url_metadata(context: &Context<'_>) -> Reply {
    let caller = context.caller;
    let node = format!("/nodes/{}", context.param("node"));
    let allowed = caller.may(&node, &["Sys.AccessNetwork"])
        || (caller.may("/", &["Sys.Audit"]) && caller.may("/", &["Sys.Modify"]));
    match allowed {
        true => Ok(context.param("url").into()),
        false => Err(Refusal::forbidden()),
    }
}

fn storage_call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    Some(match route {
        Route::StorageConfigs => Ok(storage::configs(context, state)),
        Route::StorageConfig => storage::config(context, state),
        Route::Storages => storage::list(context, state),
        Route::StorageStatus => storage::status(context, state),
        Route::Content => storage::content(context, state),
        Route::AllocateVolume => storage::allocate(context, state),
        Route::Volume => storage::volume(context, state),
        Route::UpdateVolume => storage::update_volume(context, state),
        Route::CopyVolume => storage::copy(context, state),
        Route::DeleteVolume => storage::delete(context, state),
        Route::PrunableBackups => Ok(backup::prunable()),
        Route::PruneBackups => storage::prune(context, state),
        Route::DownloadUrl => storage::download(context, state),
        _ => return None,
    })
}

fn vm_call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    Some(match route {
        Route::Vms => vm::list(context, state),
        Route::CreateVm => vm::create(context, state),
        Route::DeleteVm => vm::delete(context, state),
        Route::VmConfig => vm::config(context, state),
        Route::UpdateVm => vm::update(context, state),
        Route::SetVm => vm::set(context, state),
        Route::Pending => vm::pending(context, state),
        Route::Unlink => vm::unlink(context, state),
        Route::CloudInit => vm::cloud_init(context, state),
        Route::RegenerateCloudInit => vm::regenerate_cloud_init(context, state),
        Route::CloudInitDump => vm::cloud_init_dump(context, state),
        Route::Feature => lifecycle::feature(context, state),
        Route::Resize => lifecycle::resize(context, state),
        Route::MoveDisk => lifecycle::move_disk(context, state),
        Route::Clone => lifecycle::clone(context, state),
        Route::Template => lifecycle::template(context, state),
        Route::MigrationCheck => lifecycle::check_migration(context, state),
        Route::Migrate => lifecycle::migrate(context, state),
        Route::Snapshots => lifecycle::snapshots(context, state),
        Route::CreateSnapshot => lifecycle::create_snapshot(context, state),
        Route::SnapshotConfig => lifecycle::snapshot_config(context, state),
        Route::DeleteSnapshot => lifecycle::delete_snapshot(context, state),
        Route::RollBack => lifecycle::roll_back(context, state),
        _ => return power_call(context, state, route),
    })
}

fn power_call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    let mut change = |worker, look, change| power::change(context, state, (worker, look), change);
    Some(match route {
        Route::StartVm => change("qmstart", Look::Never, power::start),
        Route::StopVm => change("qmstop", Look::Never, power::stop),
        // The shutdown of a stopped VM succeeds.
        Route::ShutdownVm => change("qmshutdown", Look::Never, power::stop),
        Route::RebootVm => change("qmreboot", Look::Running, power::reboot),
        Route::ResetVm => change("qmreset", Look::Running, power::reset),
        Route::SuspendVm if context.optional("todisk") == Some("1") => {
            change("qmsuspend", Look::Running, power::hibernate)
        }
        Route::SuspendVm => change("qmpause", Look::Running, power::suspend),
        Route::ResumeVm => change("qmresume", Look::Running, power::resume),
        Route::VmStatus => power::status(context, state),
        Route::StatusIndex => {
            let calls = [
                "current", "start", "stop", "reset", "shutdown", "suspend", "resume",
            ];
            Ok(calls.iter().map(|call| json!({ "subdir": call })).collect())
        }
        _ => return None,
    })
}

fn guest_call(context: &Context<'_>, state: &mut State, route: Route) -> Option<Reply> {
    Some(match route {
        Route::AgentIndex => Ok(agent::index()),
        Route::AgentCommand => agent::unknown_command(
            context,
            state,
            &format!("guest-{}", context.param("command")),
        ),
        Route::AgentPing => agent::ping(context, state),
        Route::AgentInfo => agent::info(context, state),
        Route::GuestOs => agent::unknown_command(context, state, "guest-get-osinfo"),
        Route::GuestFileSystems => agent::unknown_command(context, state, "guest-get-fsinfo"),
        Route::GuestHostName => agent::host_name(context, state),
        Route::GuestInterfaces => agent::interfaces(context, state),
        Route::FreezeFileSystems | Route::ThawFileSystems => agent::freeze(context, state),
        Route::Exec => agent::exec(context, state),
        Route::ExecStatus => agent::exec_status(context, state),
        Route::ReadGuestFile => agent::file_read(context, state),
        Route::WriteGuestFile => agent::file_write(context, state),
        Route::SerialConsole | Route::VncConsole => console(context, state),
        Route::SendKey => running(context, state).map(|()| Value::Null),
        Route::Monitor => running(context, state).map(|()| "".into()),
        Route::FirewallOptions => firewall::options(context, state),
        Route::UpdateFirewallOptions => firewall::update_options(context, state),
        Route::FirewallRules => firewall::rules(context, state),
        Route::CreateFirewallRule => firewall::create_rule(context, state),
        Route::UpdateFirewallRule => firewall::update_rule(context, state),
        Route::DeleteFirewallRule => firewall::delete_rule(context, state),
        Route::IpSets => firewall::sets(context, state),
        Route::CreateIpSet => firewall::create_set(context, state),
        Route::IpSet => firewall::set_entries(context, state),
        Route::AddToIpSet => firewall::add_entry(context, state),
        Route::DeleteIpSet => firewall::delete_set(context, state),
        Route::RemoveFromIpSet => firewall::remove_entry(context, state),
        _ => return None,
    })
}

fn running(context: &Context<'_>, state: &State) -> Result<(), Refusal> {
    let id = context.vm_id()?;
    match state.vm(context.param("node"), id)?.running {
        true => Ok(()),
        false => Err(Refusal::died(format!("VM {id} not running"))),
    }
}

fn console(context: &Context<'_>, state: &State) -> Reply {
    let id = context.vm_id()?;
    let vm = state.vm(context.param("node"), id)?;
    Ok(json!({
        "port": 5900, "user": context.caller.user(), "ticket": "PVEVNC:66A1B2C3::c2ln",
        "upid": format!("UPID:{}:0003A2F0:01C2D3E4:66A1B2C3:vncproxy:{id}:{}:", vm.node, context.caller.id),
    }))
}
