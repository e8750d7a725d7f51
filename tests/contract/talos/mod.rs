//! Contract tests of the talos client: the machine API, against the mock node.

mod access;
mod bootstrap;
pub(crate) mod calls;
mod edit;
mod etcd;
mod faults;
mod files;
mod health;
mod identity;
mod installers;
mod life;
mod machine;
mod maintenance;
mod quorum;
mod recorded;
mod resources;
mod robust;
mod services;
mod storage;
pub(crate) mod support;
mod table;
mod talosctl;
mod transport;
mod upgrade;
mod user_data;
mod values;
