//! The deadline of each wait and the interval between probes.

use std::time::Duration;

use crate::run::step::StepId;

/// Deadlines of the waits of a run. Every wait ends at its deadline with the last cause it saw.
///
/// The defaults suit real hardware: Talos pulls its installer over the internet and reboots once, which takes
/// minutes, not seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// The longest interval between two probes, where the server cannot be watched. Intervals start at 50 ms. Default 1 s.
    pub interval: Duration,
    /// For one request to a Talos node or to the Kubernetes API. The other clients have their own setting. Default 30 s.
    pub request: Duration,
    /// For the Image Factory to build the ISO. Default 30 min.
    pub image_build: Duration,
    /// For the ISO to arrive on the Proxmox storage. Default 30 min.
    pub image_transfer: Duration,
    /// For one Proxmox task (create, start). Default 10 min.
    pub task: Duration,
    /// For a started machine to answer on the Talos port. Default 10 min.
    pub first_boot: Duration,
    /// For an applied configuration to be installed and the node to be back. Default 20 min.
    pub install: Duration,
    /// For etcd to be bootstrapped and healthy. Default 10 min.
    pub bootstrap: Duration,
    /// For the Kubernetes API to answer. Default 10 min.
    pub kubernetes: Duration,
    /// For each named check of the cluster. Default 10 min.
    pub check: Duration,
    /// For the service account token to be issued. Default 5 min.
    pub token: Duration,
    /// For the applications to be synced and healthy. Default 30 min.
    pub applications: Duration,
    /// For applications to appear at all; with none after this time the step ends with a warning. Default 5 min, more
    /// than the 3 min after which an ApplicationSet controller retries.
    pub applications_appear: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        const fn minutes(n: u64) -> Duration {
            Duration::from_secs(60 * n)
        }
        Self {
            interval: Duration::from_secs(1),
            request: Duration::from_secs(30),
            image_build: minutes(30),
            image_transfer: minutes(30),
            task: minutes(10),
            first_boot: minutes(10),
            install: minutes(20),
            bootstrap: minutes(10),
            kubernetes: minutes(10),
            check: minutes(10),
            token: minutes(5),
            applications: minutes(30),
            applications_appear: minutes(5),
        }
    }
}

impl Timing {
    /// Every wait probes at least each `interval` and ends after `deadline`: for tests against the mocks.
    #[must_use]
    pub const fn uniform(interval: Duration, deadline: Duration) -> Self {
        Self {
            interval,
            request: deadline,
            image_build: deadline,
            image_transfer: deadline,
            task: deadline,
            first_boot: deadline,
            install: deadline,
            bootstrap: deadline,
            kubernetes: deadline,
            check: deadline,
            token: deadline,
            applications: deadline,
            applications_appear: deadline,
        }
    }

    /// When it pays to look again at a step that waits for servers: after a sixtieth of the time that it may take, and between
    /// one interval and half a minute.
    pub(crate) fn next_look(&self, step: StepId) -> Duration {
        const LONGEST: Duration = Duration::from_secs(30);
        let longest = self.of_servers(step).unwrap_or_default();
        (longest / 60).min(LONGEST).max(self.interval)
    }

    /// How long the step may wait for something that goes on without the run; `None` for a step that waits for nothing.
    pub(crate) const fn of_servers(&self, step: StepId) -> Option<Duration> {
        Some(match step {
            StepId::Image => self.image_transfer,
            StepId::Machine => self.task,
            StepId::FirstBoot => self.first_boot,
            StepId::Apply => self.install,
            StepId::EtcdBootstrap => self.bootstrap,
            StepId::Kubeconfig => self.kubernetes,
            StepId::Verify => self.check,
            StepId::Register => self.token,
            StepId::Applications => self.applications,
            _ => return None,
        })
    }

    /// The same deadlines, none of them longer than a century: a longer one overflows clocks, and is as good as none.
    pub(crate) fn bounded(self) -> Self {
        const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);
        self.bounded_by(CENTURY)
    }

    /// The same deadlines, none of them longer than `limit`.
    pub(crate) fn bounded_by(mut self, limit: Duration) -> Self {
        for deadline in [
            &mut self.interval,
            &mut self.request,
            &mut self.image_build,
            &mut self.image_transfer,
            &mut self.task,
            &mut self.first_boot,
            &mut self.install,
            &mut self.bootstrap,
            &mut self.kubernetes,
            &mut self.check,
            &mut self.token,
            &mut self.applications,
            &mut self.applications_appear,
        ] {
            *deadline = (*deadline).min(limit);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_looked_at_less_often() {
        let timing = Timing::default();
        let seconds = |step| timing.next_look(step).as_secs();

        assert_eq!(seconds(StepId::Image), 30);
        assert_eq!(seconds(StepId::Apply), 20);
        assert_eq!(seconds(StepId::Machine), 10);
        assert_eq!(seconds(StepId::Claim), 1);
    }
}
