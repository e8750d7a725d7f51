//! The Kubernetes API of the new cluster: is it healthy, and the account Argo CD works with.
//!
//! Everything starts from the text of a kubeconfig; nothing is read from files or the environment.
//!
//! * [`Kubeconfig`] reads one context without ever quoting the text.
//! * [`Client`] speaks to the API server, also before DNS knows it ([`ClientBuilder::dial`]).
//! * [`Client::verify`] waits for named [`Check`]s, in the order and by the rules of `talosctl health`.
//! * [`Client::argocd_manager`] makes the ServiceAccount, its rights and its token, under the names `argocd cluster
//!   add` uses.
//!
//! A Talos API server has `anonymous-auth=false`: without credentials even `/readyz` answers 401. Its certificate
//! names every node address, so an address from the inventory is as good as the DNS name.

mod argocd;
mod check;
mod client;
mod connect;
mod health;
mod kubeconfig;
mod manager_object;
mod node;
mod pod;
mod request;
mod rules;
mod spec;
mod token_secret;
mod view;
mod warning;

pub use crate::service::{Error, ErrorKind, Result};
pub use argocd::{ArgoCdAccess, ArgoCdManager, ManagerObject, ManagerState};
pub use check::{Check, CheckName, CheckState};
pub use client::{Client, ClientBuilder, ServerVersion};
pub use health::ClusterHealth;
pub use kubeconfig::Kubeconfig;
pub use node::NodeSummary;
pub use spec::{Cni, Component, VerifySpec};
pub use warning::Warning;
