//! The bootstrap guard: which control plane, if any, may bootstrap etcd. A pure decision.
//!
//! Bootstrap creates a new etcd cluster on the node that it is called on. Called on a second node it makes a second
//! cluster with the same secrets, which no member can leave. So the decision is made from the *data* of etcd on every
//! declared control plane, not from its health, and from the record:
//!
//! 1. Data anywhere: the others join by themselves; nothing is bootstrapped.
//! 2. A node whose data cannot be determined: wait. The caller's deadline turns the wait into a refusal.
//! 3. No data anywhere, and the record says that the cluster was bootstrapped: refuse, because its data is lost. Only a
//!    person decides to start a new etcd cluster.
//! 4. No data anywhere otherwise: the recorded machine. When no machine is recorded yet, the choice is recorded by
//!    check-and-set *before* the call, and the decision is made again from the record as it is then.

use serde::{Deserialize, Serialize};

use crate::state::record::{BootstrapState, RunControl};

/// Whether a node has data of an etcd member.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EtcdData {
    /// There is a member: data on disk, a running service with a member id, or a healthy member lists it.
    Present,
    /// The node answered, and there is none. A machine that was never configured has none either.
    Absent,
    /// It cannot be determined, with the cause.
    Unknown(String),
}

/// What a person allows beyond the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BootstrapPermission {
    /// Nothing beyond the rules.
    #[default]
    Guarded,
    /// Nodes whose data is unknown count as having none: the person knows that they were never members.
    IgnoreUnknown,
    /// A cluster whose etcd data is gone from every node may be bootstrapped again, on the recorded machine. What was
    /// in etcd is lost.
    RecoverLostData,
}

/// What follows from the data of all control planes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision<M = String> {
    /// etcd exists on these machines; the others join.
    Join(Vec<M>),
    /// Record this machine, then decide again.
    Choose(M),
    /// Call Bootstrap on this machine, which is the recorded one.
    Bootstrap(M),
    /// The data of these machines is unknown, with the causes.
    Wait(Vec<(M, String)>),
    /// Nothing may be done, and why.
    Refuse(Refusal<M>),
}

/// Why no node may be bootstrapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal<M = String> {
    /// There is no control plane machine.
    NoControlPlane,
    /// The cluster was bootstrapped on this machine, and no node has etcd data any more.
    DataLost(M),
    /// This machine was chosen and may have been bootstrapped, but is not declared any more.
    ChosenMachineMissing(M),
}

impl<M: std::fmt::Display> std::fmt::Display for Refusal<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoControlPlane => f.write_str("no control plane machine is declared"),
            Self::DataLost(machine) => write!(
                f,
                "the cluster was bootstrapped on {machine}, but no control plane has etcd data any more; bootstrapping \
                 it again would make a new, empty cluster"
            ),
            Self::ChosenMachineMissing(machine) => write!(
                f,
                "an earlier run chose {machine} for the bootstrap, which is not declared any more; bootstrapping another \
                 machine could make a second cluster"
            ),
        }
    }
}

/// Decides from the data of every declared control plane, in the order of the specification, and the record.
#[must_use]
pub fn decide<M: Clone + PartialEq>(
    control_planes: &[(M, EtcdData)],
    record: &RunControl<M>,
    permission: BootstrapPermission,
) -> Decision<M> {
    let present: Vec<M> = control_planes
        .iter()
        .filter(|(_, data)| *data == EtcdData::Present)
        .map(|(machine, _)| machine.clone())
        .collect();
    if !present.is_empty() {
        return Decision::Join(present);
    }
    let unknown: Vec<(M, String)> = control_planes
        .iter()
        .filter_map(|(machine, data)| match data {
            EtcdData::Unknown(cause) => Some((machine.clone(), cause.clone())),
            _ => None,
        })
        .collect();
    if !unknown.is_empty() && permission != BootstrapPermission::IgnoreUnknown {
        return Decision::Wait(unknown);
    }
    let declared = |machine: &M| control_planes.iter().any(|(name, _)| name == machine);
    match &record.bootstrap {
        Some(decision)
            if decision.state != BootstrapState::Chosen
                && permission != BootstrapPermission::RecoverLostData =>
        {
            Decision::Refuse(Refusal::DataLost(decision.machine.clone()))
        }
        Some(decision) if declared(&decision.machine) => {
            Decision::Bootstrap(decision.machine.clone())
        }
        Some(decision) => Decision::Refuse(Refusal::ChosenMachineMissing(decision.machine.clone())),
        None => match control_planes.first() {
            Some((machine, _)) => Decision::Choose(machine.clone()),
            None => Decision::Refuse(Refusal::NoControlPlane),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::record::Change;

    const NAMES: [&str; 3] = ["tal01", "tal02", "tal03"];

    fn every_state() -> Vec<Vec<(String, EtcdData)>> {
        let kinds = [
            EtcdData::Present,
            EtcdData::Absent,
            EtcdData::Unknown("no answer".to_owned()),
        ];
        let mut all = Vec::new();
        for number in 0..27 {
            let digits = [number / 9, number / 3 % 3, number % 3];
            let states = NAMES
                .iter()
                .zip(digits)
                .map(|(name, digit)| ((*name).to_owned(), kinds[digit].clone()));
            all.push(states.collect());
        }
        all
    }

    fn chosen(machine: &str) -> RunControl {
        match RunControl::default().choose(&machine.to_owned(), 1) {
            Ok(Change::Write(control)) => control,
            other => panic!("{other:?}"),
        }
    }

    fn bootstrapped(machine: &str) -> RunControl {
        match chosen(machine).bootstrapped(&machine.to_owned(), None, 1) {
            Ok(Change::Write(control)) => control,
            other => panic!("{other:?}"),
        }
    }

    fn guarded(states: &[(String, EtcdData)], record: &RunControl) -> Decision {
        decide(states, record, BootstrapPermission::Guarded)
    }

    #[test]
    fn any_data_means_join_whatever_else_is_known() {
        for states in every_state() {
            let any = states.iter().any(|(_, data)| *data == EtcdData::Present);
            for record in [
                RunControl::default(),
                chosen("tal02"),
                bootstrapped("tal01"),
            ] {
                for permission in [
                    BootstrapPermission::Guarded,
                    BootstrapPermission::IgnoreUnknown,
                    BootstrapPermission::RecoverLostData,
                ] {
                    let joins = matches!(decide(&states, &record, permission), Decision::Join(_));
                    assert_eq!(joins, any, "{states:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_bootstrapped_while_any_node_is_unknown() {
        for states in every_state() {
            let unknown = states
                .iter()
                .filter(|(_, data)| matches!(data, EtcdData::Unknown(_)))
                .count();
            for record in [
                RunControl::default(),
                chosen("tal02"),
                bootstrapped("tal01"),
            ] {
                match guarded(&states, &record) {
                    Decision::Wait(causes) => assert_eq!(causes.len(), unknown),
                    Decision::Bootstrap(_) | Decision::Choose(_) | Decision::Refuse(_) => {
                        assert_eq!(unknown, 0, "{states:?}");
                    }
                    Decision::Join(_) => {}
                }
            }
        }
    }

    #[test]
    fn only_the_recorded_machine_is_ever_bootstrapped() {
        for states in every_state() {
            for name in NAMES {
                if let Decision::Bootstrap(machine) = guarded(&states, &chosen(name)) {
                    assert_eq!(machine, name);
                }
                assert!(
                    !matches!(
                        guarded(&states, &RunControl::default()),
                        Decision::Bootstrap(_)
                    ),
                    "bootstrapped without a record"
                );
                assert!(
                    !matches!(
                        guarded(&states, &bootstrapped(name)),
                        Decision::Bootstrap(_)
                    ),
                    "bootstrapped a second time"
                );
            }
        }
    }

    #[test]
    fn lost_data_and_a_missing_machine_are_refused_with_their_names() {
        let absent = |names: &[&str]| -> Vec<(String, EtcdData)> {
            names
                .iter()
                .map(|name| ((*name).to_owned(), EtcdData::Absent))
                .collect()
        };

        let lost = guarded(&absent(&NAMES), &bootstrapped("tal02"));
        let missing = guarded(&absent(&["tal01"]), &chosen("tal02"));
        let nobody = guarded(&[], &RunControl::default());

        assert_eq!(
            lost,
            Decision::Refuse(Refusal::DataLost("tal02".to_owned()))
        );
        assert_eq!(
            missing,
            Decision::Refuse(Refusal::ChosenMachineMissing("tal02".to_owned()))
        );
        assert_eq!(nobody, Decision::Refuse(Refusal::<String>::NoControlPlane));
        let Decision::Refuse(refusal) = lost else {
            panic!()
        };
        assert!(refusal.to_string().contains("tal02"));
    }

    #[test]
    fn a_person_may_ignore_unknown_nodes_or_recover_lost_data() {
        let states = [
            ("tal01".to_owned(), EtcdData::Unknown("down".to_owned())),
            ("tal02".to_owned(), EtcdData::Absent),
        ];
        let absent = [("tal01".to_owned(), EtcdData::Absent)];

        assert_eq!(
            decide(
                &states,
                &chosen("tal02"),
                BootstrapPermission::IgnoreUnknown
            ),
            Decision::Bootstrap("tal02".to_owned())
        );
        assert_eq!(
            decide(
                &absent,
                &bootstrapped("tal01"),
                BootstrapPermission::RecoverLostData
            ),
            Decision::Bootstrap("tal01".to_owned())
        );
    }
}
