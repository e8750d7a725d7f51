//! The part of the record that changes: the bootstrap decision and the fencing token. Pure transitions.

use serde::{Deserialize, Serialize};

/// The changing part of a record. `M` names a machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunControl<M = String> {
    /// The highest fencing token that has written the record. A run with a lower one has lost its lease.
    pub fence: u64,
    /// The machine that is bootstrapped, once it is chosen. It never changes afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapDecision<M>>,
}

impl<M> Default for RunControl<M> {
    fn default() -> Self {
        Self {
            fence: 0,
            bootstrap: None,
        }
    }
}

/// Which machine is bootstrapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BootstrapDecision<M = String> {
    /// The machine.
    pub machine: M,
    /// How far it is.
    #[serde(flatten)]
    pub state: BootstrapState,
}

/// How far the bootstrap of etcd is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
#[non_exhaustive]
pub enum BootstrapState {
    /// The machine is chosen; Bootstrap may have been called on it, and on no other one.
    Chosen,
    /// etcd data was seen. The cluster is never bootstrapped again, except by explicit recovery.
    #[serde(rename_all = "camelCase")]
    Bootstrapped {
        /// The id of the etcd cluster, once it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etcd_cluster_id: Option<String>,
    },
}

/// A newer run has written the record: this one has lost its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stale {
    pub(crate) newest: u64,
}

/// What has to be written so that something is true of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Change<T> {
    /// It is true already.
    Keep,
    /// It is true once this is written.
    Write(T),
}

impl<M: Clone + PartialEq> RunControl<M> {
    /// Makes certain that a machine is chosen for the bootstrap: `machine`, unless an earlier run chose another one.
    pub(crate) fn choose(&self, machine: &M, token: u64) -> Result<Change<Self>, Stale> {
        self.fenced(token)?;
        Ok(match &self.bootstrap {
            Some(_) => Change::Keep,
            None => Change::Write(Self {
                fence: token,
                bootstrap: Some(BootstrapDecision {
                    machine: machine.clone(),
                    state: BootstrapState::Chosen,
                }),
            }),
        })
    }

    /// Makes certain that the bootstrap is recorded as done. `seen_on` is a machine with etcd data, which becomes the
    /// recorded one when somebody else bootstrapped the cluster.
    pub(crate) fn bootstrapped(
        &self,
        seen_on: &M,
        etcd_cluster_id: Option<&str>,
        token: u64,
    ) -> Result<Change<Self>, Stale> {
        self.fenced(token)?;
        let known = match self.bootstrap.as_ref().map(|decision| &decision.state) {
            Some(BootstrapState::Bootstrapped { etcd_cluster_id }) => Some(etcd_cluster_id.clone()),
            _ => None,
        };
        let id = known
            .clone()
            .flatten()
            .or_else(|| etcd_cluster_id.map(str::to_owned));
        if known.is_some_and(|known| known == id) {
            return Ok(Change::Keep);
        }
        let machine = self
            .bootstrap
            .as_ref()
            .map_or_else(|| seen_on.clone(), |decision| decision.machine.clone());
        Ok(Change::Write(Self {
            fence: token,
            bootstrap: Some(BootstrapDecision {
                machine,
                state: BootstrapState::Bootstrapped {
                    etcd_cluster_id: id,
                },
            }),
        }))
    }

    /// Makes certain that no bootstrap is recorded, after every control plane was deleted on purpose: the next etcd is a new one.
    pub(crate) fn forgotten(&self, token: u64) -> Result<Change<Self>, Stale> {
        self.fenced(token)?;
        Ok(match &self.bootstrap {
            None => Change::Keep,
            Some(_) => Change::Write(Self {
                fence: token,
                bootstrap: None,
            }),
        })
    }

    fn fenced(&self, token: u64) -> Result<(), Stale> {
        if self.fence > token {
            Err(Stale { newest: self.fence })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(machine: &str, fence: u64) -> RunControl {
        RunControl {
            fence,
            bootstrap: Some(BootstrapDecision {
                machine: machine.to_owned(),
                state: BootstrapState::Chosen,
            }),
        }
    }

    #[test]
    fn the_first_choice_stays() {
        let first = RunControl::default()
            .choose(&"tal01".to_owned(), 1)
            .unwrap();
        assert_eq!(first, Change::Write(chosen("tal01", 1)));

        let second = chosen("tal01", 1).choose(&"tal02".to_owned(), 2).unwrap();
        assert_eq!(second, Change::Keep);
    }

    #[test]
    fn a_forgotten_bootstrap_leaves_the_fence() {
        let forgotten = chosen("tal01", 1).forgotten(2).unwrap();
        let empty = RunControl::<String> {
            fence: 2,
            bootstrap: None,
        };

        assert_eq!(forgotten, Change::Write(empty.clone()));
        assert_eq!(empty.forgotten(3).unwrap(), Change::Keep);
    }

    #[test]
    fn a_run_with_an_older_token_writes_nothing() {
        let record = RunControl::<String> {
            fence: 5,
            bootstrap: None,
        };

        assert_eq!(
            record.choose(&"tal01".to_owned(), 4),
            Err(Stale { newest: 5 })
        );
        assert_eq!(
            record.bootstrapped(&"tal01".to_owned(), None, 4),
            Err(Stale { newest: 5 })
        );
        assert_eq!(record.forgotten(4), Err(Stale { newest: 5 }));
    }

    #[test]
    fn a_bootstrap_is_recorded_once_and_its_etcd_id_never_changes() {
        let chosen = chosen("tal01", 1);
        let Change::Write(done) = chosen.bootstrapped(&"tal02".to_owned(), None, 1).unwrap() else {
            panic!("nothing to write");
        };
        assert_eq!(done.bootstrap.as_ref().unwrap().machine, "tal01");
        assert_eq!(
            done.bootstrapped(&"tal02".to_owned(), None, 1).unwrap(),
            Change::Keep
        );

        let Change::Write(named) = done
            .bootstrapped(&"tal01".to_owned(), Some("abc"), 1)
            .unwrap()
        else {
            panic!("the id is not recorded");
        };
        assert_eq!(
            named
                .bootstrapped(&"tal01".to_owned(), Some("other"), 1)
                .unwrap(),
            Change::Keep
        );
    }
}
