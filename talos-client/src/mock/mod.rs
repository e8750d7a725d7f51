//! A Talos node in this process, for tests of programs that use the machine API.
//!
//! [`TalosMock`] is a gRPC server over TLS on the loopback interface with the life cycle of a node: it boots into
//! maintenance mode, accepts a configuration, closes its port while it installs itself, returns with the identity
//! *from the configuration it was given*, and waits to be bootstrapped. Its responses follow from that state.
//!
//! ```
//! use futures_util::StreamExt;
//! use talos_client::ErrorKind;
//! use talos_client::mock::{Fault, MockEvent, Route, TalosMock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> talos_client::Result<()> {
//! let mock = TalosMock::start().await;
//! mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. })).await;
//! let client = mock.maintenance_client();
//!
//! assert_eq!(client.version().await?, "v1.10.7");
//! mock.assert_called(Route::ResourceGet, 1);
//!
//! mock.fail_next(Route::Disks, Fault::Disconnect);
//! assert!(client.disks().await.is_ok()); // a read is repeated
//! # Ok(())
//! # }
//! ```
//!
//! It is strict: unknown methods, resource types and namespaces are refused, configurations are read and validated
//! like the release the mock was built for does, and a machine that would not boot on hardware does not boot here.
//! What it leaves out: hardware, so that there are no packets to capture and no frequencies; and
//! programs, so that a debug container only copies its input to its output. Several nodes share a [`Network`]: they forward calls, join etcd, sign certificates.
//!
//! The messages are encoded and decoded by the same generated code as in the client. That code is not circular evidence: a
//! test compares its field numbers with those of the reference (`proto/wire.json`), and recorded responses are replayed.
//!
//! Which methods exist, what they answer while a node is not ready, and who may call them follows machined and apid of
//! v1.10.7 to v1.14; the answers recorded from real servers are replayed against the mock in the tests of this workspace.

mod apply;
mod archive;
mod builder;
mod call;
mod capture;
mod client_configuration;
mod cluster_service;
mod content;
mod control_groups;
mod debug_service;
mod definitions;
mod delays;
mod document;
mod etcd;
mod event;
mod fault;
mod file_tree;
mod files;
mod gate;
mod identity;
mod image_service;
mod images;
mod immediate;
mod inspect_service;
mod kubeconfig;
mod life;
mod lifecycle_service;
mod log;
mod machine;
mod machine_events;
mod network;
mod node;
mod port;
mod proxy;
mod resources;
mod route;
mod selection;
mod server;
mod services;
mod snapshot;
mod state_service;
mod statistics;
mod store;
mod talos_mock;
mod text_diff;
mod volume_service;
mod volumes;

pub use self::builder::{BootOrder, MockDisk, TalosMockBuilder};
pub use self::call::Call;
pub use self::delays::Delays;
pub use self::event::MockEvent;
pub use self::fault::Fault;
pub use self::network::Network;
pub use self::route::Route;
pub use self::talos_mock::TalosMock;
pub use self::volumes::MockVolumeGroup;
