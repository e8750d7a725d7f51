//! One run: its lease beside its work, both driven by the transitions of the code.

use super::world::{Action, ModelRecord, Nodes, World, Write, read};
use super::{Rule, Setting};
use crate::state::claim::transition::{Claim, Command, Response, Settled};
use crate::state::claim::update::{Update, Updated};
use crate::state::guard::{BootstrapPermission, Decision, EtcdData, decide};
use crate::state::lease::transition::{
    Candidacy, Circumstances, Command as LeaseCommand, LeaseState, Now, Tenure,
};
use crate::state::record::Change;

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Arrives,
    RequestLost,
    ResponseLost,
    Late,
}

/// What kinds of faults a request can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Write,
    Observation,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum LeasePhase {
    Candidate(Candidacy<u8, u8>),
    Holder(Tenure<u8, u8>),
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Claim(Claim<ModelRecord>),
    Configure(ModelRecord, u8),
    Observe(ModelRecord, Vec<(u8, EtcdData)>),
    Choose(Update<ModelRecord, u8>, u8),
    Bootstrap(ModelRecord, u8),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Run {
    process: u8,
    /// 0 or 1: in which order its specification lists the machines.
    pub(super) order: u8,
    lease: LeasePhase,
    lease_inbox: Option<Response<LeaseState<u8>, u8>>,
    renewed: u64,
    work: Work,
    work_inbox: Option<Response<ModelRecord, u8>>,
    /// The lease was checked; the effect comes next, whenever the process goes on.
    armed: bool,
}

impl Run {
    pub(super) fn new(process: u8, order: u8) -> Self {
        Self {
            process,
            order,
            lease: LeasePhase::Candidate(Candidacy::default()),
            lease_inbox: None,
            renewed: 0,
            work: Work::Claim(Claim::default()),
            work_inbox: None,
            armed: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.lease, LeasePhase::Over)
    }

    pub(super) fn is_valid(&self, now: Now) -> bool {
        matches!(&self.lease, LeasePhase::Holder(tenure) if tenure.is_valid(now))
    }

    pub(super) fn actions(
        &self,
        setting: &Setting,
        index: usize,
        world: &World,
        actions: &mut Vec<Action>,
    ) {
        // A process that is paused between check and effect does nothing else.
        if self.armed {
            let outcomes = world.outcomes(self.request());
            actions.extend(outcomes.iter().map(|outcome| Action::Work(index, *outcome)));
            return;
        }
        if self.lease_inbox.is_some() {
            actions.push(Action::LeaseReceive(index));
        } else {
            self.lease_actions(setting, index, world, actions);
        }
        let LeasePhase::Holder(tenure) = &self.lease else {
            return;
        };
        if self.work_inbox.is_some() {
            actions.push(Action::WorkReceive(index));
            return;
        }
        let may = tenure.is_valid(world.now()) || setting.without == Some(Rule::CheckTheLease);
        if self.work != Work::Done && (may || !self.is_effect()) {
            let arming = setting.paused && self.is_effect();
            let outcomes = if arming {
                &[Outcome::Arrives]
            } else {
                world.outcomes(self.request())
            };
            actions.extend(outcomes.iter().map(|outcome| Action::Work(index, *outcome)));
        }
    }

    fn lease_actions(
        &self,
        setting: &Setting,
        index: usize,
        world: &World,
        actions: &mut Vec<Action>,
    ) {
        let command = match &self.lease {
            LeasePhase::Candidate(candidacy) => candidacy.command(setting.terms),
            LeasePhase::Holder(tenure) => tenure.command(),
            LeasePhase::Over => return,
        };
        let request = match command {
            LeaseCommand::Read => Request::Other,
            LeaseCommand::Create(_) | LeaseCommand::Replace(..) => Request::Write,
            LeaseCommand::Wait(until) => {
                // Reading again earlier than that changes nothing unless the store has changed.
                if self.sees_news(world) || world.tick >= until {
                    actions.push(Action::LeaseContinue(index));
                }
                return;
            }
            LeaseCommand::Done => {
                if world.tick > self.renewed || self.work == Work::Done {
                    actions.push(Action::LeaseContinue(index));
                }
                return;
            }
        };
        let outcomes = world.outcomes(request);
        actions.extend(
            outcomes
                .iter()
                .map(|outcome| Action::LeaseSend(index, *outcome)),
        );
    }

    fn sees_news(&self, world: &World) -> bool {
        match &self.lease {
            LeasePhase::Candidate(Candidacy::Waiting(watched)) => {
                world.lease.as_ref().map(|(revision, _)| *revision) != Some(watched.revision)
            }
            _ => false,
        }
    }

    pub(super) fn lease_send(&mut self, setting: &Setting, world: &mut World, outcome: Outcome) {
        let command = match &self.lease {
            LeasePhase::Candidate(candidacy) => candidacy.command(setting.terms),
            LeasePhase::Holder(tenure) => tenure.command(),
            LeasePhase::Over => return,
        };
        self.lease_inbox = match command {
            LeaseCommand::Read => Some(read(world.lease.as_ref())),
            LeaseCommand::Create(state) => Some(world.send(Write::Lease(None, state), outcome)),
            LeaseCommand::Replace(revision, state) => {
                Some(world.send(Write::Lease(Some(revision), state), outcome))
            }
            LeaseCommand::Wait(_) | LeaseCommand::Done => None,
        };
        let written = matches!(self.lease_inbox, Some(Response::Written(_)));
        if !setting.slow && !written {
            self.lease_receive(setting, world);
        }
    }

    pub(super) fn lease_receive(&mut self, setting: &Setting, world: &World) {
        let Some(response) = self.lease_inbox.take() else {
            return;
        };
        let lease = std::mem::replace(&mut self.lease, LeasePhase::Over);
        self.lease = match lease {
            LeasePhase::Candidate(candidacy) => {
                let with = Circumstances {
                    me: &self.process,
                    terms: setting.terms,
                    now: world.now(),
                    is_dead: |_: &u8| false,
                };
                match candidacy.respond(response, &with) {
                    Candidacy::Acquired(tenure) => {
                        self.renewed = world.tick;
                        LeasePhase::Holder(tenure)
                    }
                    Candidacy::Unresolved => LeasePhase::Over,
                    candidacy => LeasePhase::Candidate(candidacy),
                }
            }
            LeasePhase::Holder(tenure) => match tenure.respond(response, setting.terms) {
                tenure if tenure.is_over() => LeasePhase::Over,
                tenure => LeasePhase::Holder(tenure),
            },
            LeasePhase::Over => LeasePhase::Over,
        };
    }

    pub(super) fn lease_continue(&mut self, world: &World) {
        let lease = std::mem::replace(&mut self.lease, LeasePhase::Over);
        self.lease = match lease {
            LeasePhase::Candidate(candidacy) => LeasePhase::Candidate(candidacy.waited()),
            LeasePhase::Holder(tenure) => {
                self.renewed = world.tick;
                LeasePhase::Holder(if self.work == Work::Done {
                    tenure.release(world.now())
                } else {
                    tenure.renew(world.now())
                })
            }
            LeasePhase::Over => LeasePhase::Over,
        };
    }

    fn token(&self) -> u64 {
        match &self.lease {
            LeasePhase::Holder(tenure) => tenure.state.token,
            _ => 0,
        }
    }

    /// The machine that this run's specification lists at `position`.
    fn machine(&self, position: usize) -> u8 {
        let position = u8::try_from(position).unwrap();
        if self.order == 0 {
            position
        } else {
            u8::try_from(Nodes::COUNT).unwrap() - 1 - position
        }
    }

    /// Whether the next work changes something outside.
    fn is_effect(&self) -> bool {
        match &self.work {
            Work::Claim(claim) => matches!(claim.command::<u8>(), Command::Create(_)),
            Work::Choose(update, _) => matches!(update.command(), Command::Replace(..)),
            Work::Configure(..) | Work::Bootstrap(..) => true,
            Work::Observe(..) | Work::Done => false,
        }
    }

    fn request(&self) -> Request {
        match &self.work {
            Work::Claim(_) | Work::Choose(..) if self.is_effect() => Request::Write,
            Work::Observe(..) => Request::Observation,
            _ => Request::Other,
        }
    }

    pub(super) fn work(&mut self, setting: &Setting, world: &mut World, outcome: Outcome) {
        if setting.paused && self.is_effect() && !self.armed {
            self.armed = true;
            return;
        }
        self.armed = false;
        if self.is_effect() {
            world.note_effect(self.process);
        }
        let work = std::mem::replace(&mut self.work, Work::Done);
        self.work = match work {
            Work::Claim(claim) => self.claim(world, claim, outcome),
            Work::Choose(update, machine) => {
                self.work_inbox = Some(match update.command() {
                    Command::Replace(revision, record) => {
                        world.send(Write::Record(Some(revision), record), outcome)
                    }
                    _ => read(world.record.as_ref()),
                });
                Work::Choose(update, machine)
            }
            Work::Configure(record, position) => {
                let node = self.machine(usize::from(position));
                let next = usize::from(position) + 1;
                if !world.nodes.configure(node, record.pki) {
                    // The node belongs to another PKI: the run ends.
                    Work::Done
                } else if next == Nodes::COUNT {
                    Work::Observe(record, Vec::new())
                } else {
                    Work::Configure(record, position + 1)
                }
            }
            Work::Observe(record, seen) => self.observe(setting, world, record, seen, outcome),
            Work::Bootstrap(record, machine) => {
                world.nodes.bootstrap(machine);
                Work::Observe(record, Vec::new())
            }
            Work::Done => Work::Done,
        };
        if !setting.slow {
            self.work_receive(setting);
        }
    }

    fn claim(&mut self, world: &mut World, claim: Claim<ModelRecord>, outcome: Outcome) -> Work {
        Work::Claim(match claim.command::<u8>() {
            Command::Generate => claim.generated(ModelRecord {
                pki: self.process,
                control: Default::default(),
            }),
            Command::Create(offer) => {
                self.work_inbox = Some(world.send(Write::Record(None, offer), outcome));
                claim
            }
            _ => {
                self.work_inbox = Some(read(world.record.as_ref()));
                claim
            }
        })
    }

    /// One node more; after the last one the guard decides.
    fn observe(
        &self,
        setting: &Setting,
        world: &World,
        record: ModelRecord,
        mut seen: Vec<(u8, EtcdData)>,
        outcome: Outcome,
    ) -> Work {
        let node = self.machine(seen.len());
        seen.push((
            node,
            match outcome {
                Outcome::Arrives if world.nodes.has_etcd(node) => EtcdData::Present,
                Outcome::Arrives => EtcdData::Absent,
                _ => EtcdData::Unknown(String::new()),
            },
        ));
        if seen.len() < Nodes::COUNT {
            return Work::Observe(record, seen);
        }
        match decide(&seen, &record.control, BootstrapPermission::Guarded) {
            Decision::Choose(machine) if setting.without == Some(Rule::RecordTheChoice) => {
                Work::Bootstrap(record, machine)
            }
            Decision::Choose(machine) => Work::Choose(Update::default(), machine),
            Decision::Bootstrap(machine) => Work::Bootstrap(record, machine),
            Decision::Wait(_) => Work::Observe(record, Vec::new()),
            Decision::Join(_) | Decision::Refuse(_) => Work::Done,
        }
    }

    pub(super) fn work_receive(&mut self, setting: &Setting) {
        let Some(response) = self.work_inbox.take() else {
            return;
        };
        let token = self.token();
        let work = std::mem::replace(&mut self.work, Work::Done);
        self.work = match work {
            Work::Claim(Claim::Offering { offer, .. })
                if setting.without == Some(Rule::ReadBack) && response == Response::Lost =>
            {
                Work::Configure(offer, 0)
            }
            Work::Claim(claim) => match claim.respond(response, |_| true) {
                Claim::Settled(Settled::Created(record) | Settled::Adopted(record)) => {
                    Work::Configure(record, 0)
                }
                Claim::Settled(_) => Work::Done,
                claim => Work::Claim(claim),
            },
            Work::Choose(update, machine) => {
                let change = |record: &ModelRecord| {
                    Ok(match record.control.choose(&machine, token)? {
                        Change::Keep => Change::Keep,
                        Change::Write(control) => Change::Write(ModelRecord {
                            control,
                            ..record.clone()
                        }),
                    })
                };
                match update.respond(response, change) {
                    // The decision is made again, from the record as it is now.
                    Update::Done(Updated::Holds(record)) => Work::Observe(record, Vec::new()),
                    Update::Done(_) => Work::Done,
                    update => Work::Choose(update, machine),
                }
            }
            work => work,
        };
    }
}
