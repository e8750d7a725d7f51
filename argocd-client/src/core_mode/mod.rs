//! Argo CD without its API server: its objects, read and written in Kubernetes, as `argocd --core` does.
//!
//! An installation in core mode has the controllers and no server, so there are no accounts, no RBAC of its own and no
//! checks before something is stored. What Kubernetes allows is allowed, and the controllers find mistakes later: they show
//! as conditions of the application. This crate speaks to the API server of Kubernetes itself and needs no client for it.
//!
//! ```no_run
//! # async fn example(ca_pem: &str) -> argocd_client::Result<()> {
//! use argocd_client::application::{AppRef, SyncRequest, WaitFor};
//! use argocd_client::core_mode::{CoreClient, KubernetesCredentials};
//! use argocd_client::{Poll, TlsTrust};
//!
//! let kubernetes = "https://kubernetes.example.com:6443".parse().expect("a URL");
//! let argocd = CoreClient::builder(kubernetes, KubernetesCredentials::token("service-account-token"))
//!     .trust(TlsTrust::from_pem(ca_pem)?)
//!     .namespace("argocd")
//!     .build()?;
//!
//! let cilium = AppRef::new("cilium");
//! argocd.applications().sync(&cilium, &SyncRequest::new().prune()).await?;
//! let outcome = argocd.applications().wait(&cilium, &WaitFor::default(), Poll::default()).await?;
//! println!("{} is ready", outcome.into_ready()?.metadata.name);
//! # Ok(())
//! # }
//! ```

mod application;
mod builder;
mod cluster;
mod feed;
mod kubernetes;
mod object;
mod policy;
mod secret;

use std::sync::Arc;

use url::Url;

pub use application::CoreApplications;
pub use builder::{CoreClientBuilder, KubernetesCredentials};
pub use cluster::CoreClusters;
pub use object::{CoreObject, CoreObjects};

use crate::application_set::ApplicationSet;
use crate::project::Project;
use kubernetes::Kubernetes;

/// A client of one Argo CD through the Kubernetes API that it keeps its objects in. Clones share the connections.
#[derive(Debug, Clone)]
pub struct CoreClient {
    kubernetes: Arc<Kubernetes>,
}

impl CoreClient {
    /// Starts building a client of the Kubernetes API server at `kubernetes`.
    pub fn builder(kubernetes: Url, credentials: KubernetesCredentials) -> CoreClientBuilder {
        CoreClientBuilder::new(kubernetes, credentials)
    }

    pub(crate) fn new(kubernetes: Arc<Kubernetes>) -> Self {
        Self { kubernetes }
    }

    /// The namespace of Argo CD.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.kubernetes.namespace
    }

    /// The applications.
    #[must_use]
    pub fn applications(&self) -> CoreApplications {
        CoreApplications::new(Arc::clone(&self.kubernetes))
    }

    /// The clusters that are declared as Secrets.
    #[must_use]
    pub fn clusters(&self) -> CoreClusters {
        CoreClusters::new(Arc::clone(&self.kubernetes))
    }

    /// The projects.
    #[must_use]
    pub fn projects(&self) -> CoreObjects<Project> {
        CoreObjects::new(Arc::clone(&self.kubernetes))
    }

    /// The application sets.
    #[must_use]
    pub fn application_sets(&self) -> CoreObjects<ApplicationSet> {
        CoreObjects::new(Arc::clone(&self.kubernetes))
    }
}
