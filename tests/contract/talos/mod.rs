//! Contract tests of the talos client: the machine API, against the mock node.

mod bootstrap;
mod calls;
mod edit;
mod faults;
mod health;
mod identity;
mod installers;
mod machine;
mod maintenance;
mod quorum;
mod recorded;
mod resources;
mod robust;
mod support;
mod table;
mod transport;
mod upgrade;
mod values;
