//! The speed of the lab.

use std::time::Duration;

use crate::mock::kubernetes::KubernetesTimings;
use crate::run::timing::Timing;

/// How long things take in the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pace {
    /// Milliseconds, for tests.
    #[default]
    Fast,
    /// Some seconds in all, for demonstrations.
    Demo,
}

/// The delays of all servers.
#[derive(Debug, Clone)]
pub(super) struct Delays {
    pub(super) task: Duration,
    pub(super) image_build: Duration,
    pub(super) boot: Duration,
    pub(super) install: Duration,
    pub(super) services: Duration,
    pub(super) etcd: Duration,
    pub(super) kubernetes: KubernetesTimings,
    pub(super) sync: Duration,
    pub(super) health: Duration,
}

impl Delays {
    /// No delays: for servers that are restored.
    pub(super) fn none() -> Self {
        Self {
            task: Duration::ZERO,
            image_build: Duration::ZERO,
            boot: Duration::ZERO,
            install: Duration::ZERO,
            services: Duration::ZERO,
            etcd: Duration::ZERO,
            kubernetes: KubernetesTimings::instant(),
            sync: Duration::ZERO,
            health: Duration::ZERO,
        }
    }
}

impl Pace {
    pub(super) fn delays(self) -> Delays {
        let ms = Duration::from_millis;
        match self {
            Self::Fast => Delays {
                task: ms(5),
                image_build: ms(5),
                boot: ms(10),
                install: ms(30),
                services: ms(10),
                etcd: ms(10),
                kubernetes: KubernetesTimings::fast(),
                sync: ms(10),
                health: ms(10),
            },
            Self::Demo => Delays {
                task: ms(700),
                image_build: ms(900),
                boot: ms(1000),
                install: ms(1800),
                services: ms(600),
                etcd: ms(800),
                kubernetes: KubernetesTimings::default(),
                sync: ms(900),
                health: ms(900),
            },
        }
    }

    /// Deadlines and intervals that fit the delays.
    pub(super) fn timing(self) -> Timing {
        match self {
            Self::Fast => Timing::uniform(Duration::from_millis(20), Duration::from_secs(20)),
            Self::Demo => Timing::uniform(Duration::from_millis(200), Duration::from_secs(60)),
        }
    }
}
