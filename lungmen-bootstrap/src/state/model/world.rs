//! The store, the nodes, the time, and what can happen next.

use super::Setting;
use super::run::{Outcome, Request, Run};
use crate::state::claim::transition::Response;
use crate::state::lease::transition::{LeaseState, Now};
use crate::state::record::RunControl;

/// The stand-in for a cluster record: only which PKI it holds, and the part that changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ModelRecord {
    pub(super) pki: u8,
    pub(super) control: RunControl<u8>,
}

/// Three nodes: which PKI each of them was configured with, and whether it was bootstrapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Nodes([(Option<u8>, bool); Self::COUNT]);

impl Nodes {
    pub(super) const COUNT: usize = 3;

    pub(super) fn known(&self) -> Vec<u8> {
        self.0.iter().filter_map(|(pki, _)| *pki).collect()
    }

    pub(super) fn bootstrapped(&self) -> usize {
        self.0.iter().filter(|(_, etcd)| *etcd).count()
    }

    pub(super) fn has_etcd(&self, node: u8) -> bool {
        self.0[usize::from(node)].1
    }

    /// Gives a node its configuration. A configured node only listens to its own PKI.
    pub(super) fn configure(&mut self, node: u8, pki: u8) -> bool {
        *self.0[usize::from(node)].0.get_or_insert(pki) == pki
    }

    pub(super) fn bootstrap(&mut self, node: u8) {
        self.0[usize::from(node)].1 = true;
    }
}

/// A write that arrives after its sender gave up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Lease(Option<u8>, LeaseState<u8>),
    Record(Option<u8>, ModelRecord),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) tick: u64,
    pub(super) record: Option<(u8, ModelRecord)>,
    pub(super) lease: Option<(u8, LeaseState<u8>)>,
    pub(super) nodes: Nodes,
    pub(super) effect_without_lease: bool,
    late: Vec<Write>,
    runs: [Run; 2],
    /// The id of the next process; also names the PKI that it would generate.
    next_process: u8,
    faults: u8,
    crashes: u8,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Time passes.
    Tick,
    /// A late write arrives.
    Arrive(usize),
    /// A process dies, and is started again.
    Crash(usize),
    /// A run sends what its lease needs.
    LeaseSend(usize, Outcome),
    /// A run gets the response.
    LeaseReceive(usize),
    /// A run begins to renew its lease, or reads again the one of another.
    LeaseContinue(usize),
    /// A run does the next thing for the cluster.
    Work(usize, Outcome),
    /// A run gets the response of the store.
    WorkReceive(usize),
}

impl World {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            tick: 0,
            record: None,
            lease: None,
            nodes: Nodes::default(),
            effect_without_lease: false,
            late: Vec::new(),
            runs: [Run::new(0, 0), Run::new(1, 1)],
            next_process: 2,
            faults: setting.faults,
            crashes: setting.crashes,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            least: self.tick,
            most: self.tick,
        }
    }

    pub(super) fn holders(&self) -> usize {
        let now = self.now();
        self.runs.iter().filter(|run| run.is_valid(now)).count()
    }

    pub(super) fn token(&self) -> u64 {
        self.lease.as_ref().map_or(0, |(_, state)| state.token)
    }

    pub(super) fn actions(&self, setting: &Setting, actions: &mut Vec<Action>) {
        if self.tick < setting.ticks {
            actions.push(Action::Tick);
        }
        actions.extend((0..self.late.len()).map(Action::Arrive));
        for (index, run) in self.runs.iter().enumerate() {
            if self.crashes > 0 && !run.is_over() {
                actions.push(Action::Crash(index));
            }
            run.actions(setting, index, self, actions);
        }
    }

    /// The outcomes of a request, with the faults that are left.
    pub(super) fn outcomes(&self, request: Request) -> &'static [Outcome] {
        match (request, self.faults) {
            (_, 0) => &[Outcome::Arrives],
            (Request::Write, _) => &[
                Outcome::Arrives,
                Outcome::RequestLost,
                Outcome::ResponseLost,
                Outcome::Late,
            ],
            (Request::Observation, _) => &[Outcome::Arrives, Outcome::RequestLost],
            (Request::Other, _) => &[Outcome::Arrives],
        }
    }

    pub(super) fn perform(&mut self, setting: &Setting, action: Action) {
        match action {
            Action::Tick => self.tick += 1,
            Action::Arrive(index) => {
                let write = self.late.remove(index);
                self.write(write);
            }
            Action::Crash(index) => {
                self.crashes -= 1;
                let order = self.runs[index].order;
                self.runs[index] = Run::new(self.next_process, order);
                self.next_process += 1;
            }
            Action::LeaseSend(index, outcome) | Action::Work(index, outcome)
                if outcome != Outcome::Arrives =>
            {
                self.faults -= 1;
                self.of_run(setting, index, &action);
            }
            Action::LeaseSend(index, _)
            | Action::Work(index, _)
            | Action::LeaseReceive(index)
            | Action::LeaseContinue(index)
            | Action::WorkReceive(index) => self.of_run(setting, index, &action),
        }
    }

    fn of_run(&mut self, setting: &Setting, index: usize, action: &Action) {
        let mut run = self.runs[index].clone();
        match action {
            Action::LeaseSend(_, outcome) => run.lease_send(setting, self, *outcome),
            Action::LeaseReceive(_) => run.lease_receive(setting, self),
            Action::LeaseContinue(_) => run.lease_continue(self),
            Action::Work(_, outcome) => run.work(setting, self, *outcome),
            Action::WorkReceive(_) => run.work_receive(setting),
            Action::Tick | Action::Arrive(_) | Action::Crash(_) => {}
        }
        self.runs[index] = run;
    }

    /// Carries a write to the store with this outcome.
    pub(super) fn send<T>(&mut self, write: Write, outcome: Outcome) -> Response<T, u8> {
        match outcome {
            Outcome::Arrives => match self.write(write) {
                Some(revision) => Response::Written(revision),
                None => Response::Refused,
            },
            Outcome::RequestLost => Response::Lost,
            Outcome::ResponseLost => {
                self.write(write);
                Response::Lost
            }
            Outcome::Late => {
                self.late.push(write);
                Response::Lost
            }
        }
    }

    /// Check-and-set.
    fn write(&mut self, write: Write) -> Option<u8> {
        match write {
            Write::Lease(expected, state) => swap(&mut self.lease, expected, state),
            Write::Record(expected, record) => swap(&mut self.record, expected, record),
        }
    }

    /// Notes an effect of a run, which must hold the lease as the store has it.
    pub(super) fn note_effect(&mut self, process: u8) {
        let held = self
            .lease
            .as_ref()
            .is_some_and(|(_, state)| state.holder == process && !state.released);
        self.effect_without_lease |= !held;
    }
}

fn swap<T>(place: &mut Option<(u8, T)>, expected: Option<u8>, value: T) -> Option<u8> {
    let current = place.as_ref().map(|(revision, _)| *revision);
    if current != expected {
        return None;
    }
    let revision = current.map_or(1, |revision| revision + 1);
    *place = Some((revision, value));
    Some(revision)
}

pub(super) fn read<T: Clone>(place: Option<&(u8, T)>) -> Response<T, u8> {
    match place {
        None => Response::Absent,
        Some((revision, value)) => Response::Found(*revision, value.clone()),
    }
}
