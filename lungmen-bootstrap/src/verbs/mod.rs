//! What a user can ask for, one file per verb.

pub(crate) mod apply;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod observe;
pub(crate) mod outline;
pub(crate) mod plan;
pub(crate) mod status;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{ClusterBootstrap, DestroyOptions, ScaleOptions};

    /// Compiles only when every verb may be given to a task of a runtime with several threads.
    #[test]
    fn every_verb_can_be_spawned() {
        fn spawnable(_: impl Future + Send) {}
        fn verbs(bootstrap: &ClusterBootstrap, destroy: &DestroyOptions, scale: &ScaleOptions) {
            spawnable(bootstrap.run());
            spawnable(bootstrap.advance(Duration::ZERO));
            spawnable(bootstrap.observe());
            spawnable(bootstrap.plan());
            spawnable(bootstrap.status());
            spawnable(bootstrap.doctor());
            spawnable(bootstrap.destroy(destroy));
            spawnable(bootstrap.scale(scale));
        }
        let _: fn(&ClusterBootstrap, &DestroyOptions, &ScaleOptions) = verbs;
    }
}
