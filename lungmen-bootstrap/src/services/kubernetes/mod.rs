//! The Kubernetes API of the new cluster: health checks, and the ServiceAccount of Argo CD.
//!
//! A client is built from the text of a kubeconfig; nothing is read from files or the environment.
//!
//! * [`Kubeconfig`] reads one context. Its errors never quote the text.
//! * [`Client`] sends requests to the API server, also before DNS has its name ([`ClientBuilder::dial`])
//! * [`Client::verify`] waits for named [`Check`]s, in the order and by the rules of `talosctl health`.
//! * [`Client::forward`] reaches a pod through the API server, such as an Argo CD without an address of its own.
//! * [`Client::argocd_core`] is a client of an Argo CD that has no API server, by its objects in this cluster.
//! * [`Client::argocd_manager`] creates the ServiceAccount, its rights and its token, under the names of `argocd cluster
//!   add`.
//!
//! ```
//! # use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings};
//! use lungmen_bootstrap::kubernetes::{Client, Kubeconfig, VerifySpec};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mock = KubernetesMock::builder().timings(KubernetesTimings::fast()).start().await;
//! # let (text, address) = (mock.kubeconfig(&mock.endpoint()), mock.address());
//! let client = Client::builder(Kubeconfig::parse(&text)?).dial(address).build()?;
//! let spec = VerifySpec::new(["10.0.2.10".parse()?]).kubernetes_version("1.33.4");
//! let health = client.verify_observed(&spec, |check| println!("{check}")).await?;
//! let account = client.argocd_manager().install().await?;
//! println!("{} node(s); Argo CD connects to {}", health.nodes.len(), account.server);
//! # Ok(())
//! # }
//! ```
//!
//! A Talos API server has `anonymous-auth=false`: without credentials even `/readyz` responds with 401. Its certificate
//! is valid for every node address, not only for the DNS name.

mod argocd;
mod argocd_core;
mod check;
mod client;
mod connect;
mod dns;
mod forward;
mod health;
mod kubeconfig;
mod manager_object;
mod node;
mod object;
mod pod;
mod reported;
mod request;
mod rules;
mod spec;
mod survey;
mod token_secret;
mod view;
mod warning;

pub use argocd::{ArgoCdAccess, ArgoCdManager, ManagerObject, ManagerState};
pub use check::{Check, CheckName, CheckState};
pub use client::{Client, ClientBuilder, ServerVersion};
pub use forward::{LocalForward, PodConnection};
pub use health::ClusterHealth;
pub use kubeconfig::Kubeconfig;
pub use node::NodeSummary;
pub use spec::{Cni, Component, VerifySpec};
pub use survey::{ClusterSurvey, IngressSummary, PodCount, ServiceSummary};
pub use warning::Warning;
