//! From a checked request to its handler; the small calls are here.

use serde_json::{Value, json};

use super::Shared;
use super::auth::Caller;
use super::multipart::Upload;
use super::reply::{Refusal, Reply};
use super::route::Route;
use super::state::State;
use super::{power, storage, task, vm};
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

    fn number(&self, name: &str, default: usize) -> usize {
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
    match route {
        Route::Version => Ok(version(state)),
        Route::Permissions => Ok(context.caller.permissions()),
        Route::LogIn => state
            .accounts
            .log_in(context.param("username"), context.param("password")),
        Route::NextVmId => next_id(context, state),
        Route::ClusterResources => Ok(resources(context, state)),
        Route::Nodes => Ok(nodes(state)),
        Route::NodeStatus => node_status(context, state),
        Route::Networks => networks(context, state),
        Route::Storages => storage::list(context, state),
        Route::StorageStatus => storage::status(context, state),
        Route::Content => storage::content(context, state),
        Route::DeleteVolume => storage::delete(context, state),
        Route::DownloadUrl => storage::download(context, state),
        Route::Upload => match upload {
            Some(upload) => storage::upload(context, state, upload),
            None => Err(Refusal::died("upload failed")),
        },
        Route::Vms => vm::list(context, state),
        Route::CreateVm => vm::create(context, state),
        Route::DeleteVm => vm::delete(context, state),
        Route::VmConfig => vm::config(context, state),
        Route::UpdateVm => vm::update(context, state),
        Route::VmStatus => power::status(context, state),
        Route::StartVm => power::change(context, state, "qmstart", power::start),
        Route::StopVm => power::change(context, state, "qmstop", power::stop),
        Route::ShutdownVm => power::change(context, state, "qmshutdown", power::shutdown),
        Route::ResetVm => power::change(context, state, "qmreset", power::reset),
        Route::GuestInterfaces => power::guest_interfaces(context, state),
        Route::TaskStatus => task::status(state, context.param("upid")),
        Route::TaskLog => {
            let (start, limit) = (context.number("start", 0), context.number("limit", 50));
            task::log(state, context.param("upid"), start, limit)
        }
        Route::StopTask => task::stop(state, context.param("upid")),
    }
}

fn version(state: &State) -> Value {
    let release: Vec<&str> = state.version.split('.').take(2).collect();
    json!({ "version": state.version, "release": release.join("."), "repoid": "0123456789abcdef" })
}

/// The value comes as a string, as on the real server.
fn next_id(context: &Context<'_>, state: &State) -> Reply {
    if context.optional("vmid").is_some() {
        let id = context.vm_id()?;
        if state.vms.contains_key(&id) {
            return Err(Refusal::parameter(
                "vmid",
                format!("VM {id} already exists"),
            ));
        }
        return Ok(id.to_string().into());
    }
    (VmId::MIN..1_000_000)
        .filter_map(|number| VmId::new(number).ok())
        .find(|id| !state.vms.contains_key(id))
        .map(|id| id.to_string().into())
        .ok_or_else(|| Refusal::died("unable to get any free VMID in range [100, 1000000]"))
}

fn resources(context: &Context<'_>, state: &State) -> Value {
    if context.optional("type").is_some_and(|kind| kind != "vm") {
        return json!([]);
    }
    let visible = state
        .vms
        .iter()
        .filter(|(id, _)| context.caller.may(&format!("/vms/{id}"), &["VM.Audit"]));
    let items = visible.map(|(id, vm)| {
        let mut item = vm::summary(*id, vm);
        item["id"] = format!("qemu/{id}").into();
        item["type"] = "qemu".into();
        item["node"] = vm.node.as_str().into();
        item
    });
    items.collect()
}

fn nodes(state: &State) -> Value {
    let items = state.nodes.iter().map(|node| {
        json!({
            "node": node, "id": format!("node/{node}"), "type": "node", "status": "online",
            "maxcpu": 16, "maxmem": 128_u64 << 30, "mem": 16_u64 << 30, "level": "",
        })
    });
    items.collect()
}

fn node_status(context: &Context<'_>, state: &State) -> Reply {
    state.node(context.param("node"))?;
    Ok(json!({
        "pveversion": format!("pve-manager/{}/0123456789abcdef", state.version),
        "uptime": 86_400, "loadavg": ["0.10", "0.20", "0.30"],
        "memory": { "total": 128_u64 << 30, "used": 16_u64 << 30, "free": 112_u64 << 30 },
        "rootfs": { "total": 100_u64 << 30, "used": 10_u64 << 30, "avail": 90_u64 << 30 },
    }))
}

/// Bridges that the caller may not use are left out without a word since PVE 8.
fn networks(context: &Context<'_>, state: &State) -> Reply {
    state.node(context.param("node"))?;
    let visible = state.bridges.iter().filter(|bridge| {
        let path = format!("/sdn/zones/localnetwork/{}", bridge.name);
        state.major() < 8 || context.caller.may(&path, &["SDN.Audit", "SDN.Use"])
    });
    let items = visible.map(|bridge| {
        let mut item = json!({
            "iface": bridge.name, "type": "bridge", "active": 1, "autostart": 1,
            "method": "manual", "bridge_ports": "eno1",
        });
        if bridge.vlan_aware {
            item["bridge_vlan_aware"] = 1.into();
            item["bridge_vids"] = "2-4094".into();
        }
        item
    });
    Ok(items.collect())
}
