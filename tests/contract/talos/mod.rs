//! Contract tests of the talos client: the machine API, against the mock node.

mod access;
mod bootstrap;
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
mod support;
mod table;
mod talosctl;
mod transport;
mod upgrade;
mod user_data;
mod values;
