//! What a user can ask for, one file per verb.

pub(crate) mod apply;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod logs;
pub(crate) mod observe;
pub(crate) mod outline;
pub(crate) mod plan;
pub(crate) mod renew;
pub(crate) mod status;
pub(crate) mod support;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{ClusterBootstrap, DestroyOptions, LogsOptions, RenewOptions, ScaleOptions};

    /// Compiles only when every verb may be given to a task of a runtime with several threads.
    #[test]
    fn every_verb_can_be_spawned() {
        fn spawnable(_: impl Future + Send) {}
        fn verbs(bootstrap: &ClusterBootstrap, options: &Options) {
            spawnable(bootstrap.run());
            spawnable(bootstrap.advance(Duration::ZERO));
            spawnable(bootstrap.observe());
            spawnable(bootstrap.plan());
            spawnable(bootstrap.status());
            spawnable(bootstrap.doctor());
            spawnable(bootstrap.destroy(&options.destroy));
            spawnable(bootstrap.scale(&options.scale));
            spawnable(bootstrap.renew(&options.renew));
            spawnable(bootstrap.logs(&options.logs));
            spawnable(bootstrap.support());
        }
        struct Options {
            destroy: DestroyOptions,
            scale: ScaleOptions,
            renew: RenewOptions,
            logs: LogsOptions,
        }
        let _: fn(&ClusterBootstrap, &Options) = verbs;
    }
}
