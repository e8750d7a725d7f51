//! The entry in Argo CD, and the service account behind it.

use argocd_client::ErrorKind as ArgoCdKind;

use super::teardown::Teardown;
use crate::error::{Error, ErrorKind, Result};
use crate::run::step::StepId;
use crate::steps::{kubeconfig, register};

impl Teardown {
    /// Removes the entry, which is the cluster's own by address and name. Whether applications target it is judged from the
    /// list of applications.
    pub(super) async fn registration(&mut self, despite_applications: bool) -> Result<()> {
        let context = self.context.for_step(StepId::Register);
        if context.desired().argocd.is_none() {
            return Ok(());
        }
        let (argocd, target) = register::argocd(&context)?;
        let server = register::server(&context)?;
        let Some(cluster) = argocd.clusters().find(&server).await? else {
            return Ok(());
        };
        let what = format!("the entry {} of {server} in Argo CD", cluster.name);
        if cluster.name != target.cluster_name {
            self.keep(
                what,
                "another name than that of the specification is registered",
            );
            return Ok(());
        }
        self.announce(StepId::Register, &what).await?;
        let deleted = if despite_applications {
            argocd.clusters().delete_with_applications(&server).await
        } else {
            argocd.clusters().delete(&server).await
        };
        match deleted {
            Ok(_) => {}
            Err(error) if error.kind() == ArgoCdKind::NotReady => return Err(targeted(error)),
            Err(error) => return Err(error.into()),
        }
        context.note(format!("{what} is removed"));
        self.removed(
            what,
            "it has the endpoint and the name of the specification",
        );
        Ok(())
    }

    /// Removes the service account, so that its token is dead before the cluster is. A Kubernetes API that does not answer
    /// has nothing to lose: it ends with its machines.
    pub(super) async fn service_account(&mut self) {
        let context = self.context.for_step(StepId::Register);
        if context.desired().argocd.is_none() {
            return;
        }
        let Some(client) = kubeconfig::access(&context).await.transpose() else {
            return;
        };
        let deleted = async {
            let client = client?;
            client.version().await?;
            self.announce(
                StepId::Register,
                "ServiceAccount kube-system/argocd-manager",
            )
            .await?;
            Ok::<_, Error>(client.argocd_manager().delete().await?)
        };
        match deleted.await {
            Ok(objects) if objects.is_empty() => {}
            Ok(_) => self.removed(
                "ServiceAccount kube-system/argocd-manager",
                "it is in the cluster that is destroyed",
            ),
            Err(error) => context.note(format!(
                "the service account ends with the cluster, whose API does not answer: {}",
                error.cause_line()
            )),
        }
    }
}

fn targeted(error: argocd_client::Error) -> Error {
    Error::new(ErrorKind::NotReady, "remove the cluster from Argo CD")
        .with_message(error.message().to_owned())
        .with_hint(
            "Delete the applications first, so that Argo CD removes what they deployed, or destroy despite applications \
             (DestroyOptions::despite_applications, --despite-applications). No VM was deleted.",
        )
        .with_source(error)
}
