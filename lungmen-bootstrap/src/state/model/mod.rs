//! The model: claim, lease and bootstrap guard, checked exhaustively.
//!
//! Two runs build one cluster of three control planes through one store. Every interleaving is tried of: requests that get
//! lost, responses that get lost or come late, writes that arrive after their sender gave up, processes that die and start
//! again, and clocks that go on while a run is paused. The *transitions are those of the code*: [`Claim`], [`Update`],
//! [`Candidacy`], [`Tenure`], [`RunControl`] and [`decide`] are used as they are; only the store, the nodes and the order of
//! a run's steps are modelled here.
//!
//! Two worlds differ in where a run may be paused. In the first one the check of the lease and the effect after it are one
//! moment, and no effect happens without the lease. In the second one any time may pass between them, as a process can be
//! stopped anywhere; effects without the lease do happen there, and there still is one PKI and one bootstrap.

mod run;
mod world;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::state::lease::transition::Terms;
use world::{Action, Nodes, World};

/// What is modelled.
#[derive(Debug, Clone, Copy)]
struct Setting {
    /// How often a message is lost or late, or a node does not respond.
    faults: u8,
    /// How often a process is killed and started again.
    crashes: u8,
    /// How many ticks pass at most.
    ticks: u64,
    /// How long a lease lasts.
    terms: Terms,
    /// Whether any time may pass between any request and its response. Else only between the write of a lease and its
    /// response, where it matters for the validity.
    slow: bool,
    /// Whether a run may be paused between the check of its lease and the effect.
    paused: bool,
    /// A rule that is left out, to show that the model notices.
    without: Option<Rule>,
}

/// A rule of the code that a setting can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Bootstrap the node that is recorded, and record it first.
    RecordTheChoice,
    /// Act on the record as it was read back.
    ReadBack,
    /// Check the lease before an effect.
    CheckTheLease,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            faults: 0,
            crashes: 0,
            ticks: 3,
            terms: Terms {
                duration: 2,
                margin: 0,
            },
            slow: false,
            paused: false,
            without: None,
        }
    }
}

impl Model for Setting {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        state.actions(self, actions);
    }

    fn next_state(&self, state: &World, action: Action) -> Option<World> {
        let mut next = state.clone();
        next.perform(self, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one PKI", |_, world: &World| {
                let known = world.nodes.known();
                known.windows(2).all(|pair| pair[0] == pair[1])
            }),
            Property::always("no secret is lost that a node knows", |_, world: &World| {
                let kept = world.record.as_ref().map(|(_, record)| record.pki);
                world.nodes.known().iter().all(|pki| Some(*pki) == kept)
            }),
            Property::always("at most one bootstrapped node", |_, world: &World| {
                world.nodes.bootstrapped() <= 1
            }),
            Property::always("at most one valid holder", |_, world: &World| {
                world.holders() <= 1
            }),
            Property::always(
                "no effect without a valid lease",
                |setting: &Self, world: &World| setting.paused || !world.effect_without_lease,
            ),
            Property::sometimes("a cluster is finished", |_, world: &World| {
                world.nodes.known().len() == Nodes::COUNT && world.nodes.bootstrapped() == 1
            }),
            Property::sometimes("the lease changes hands", |_, world: &World| {
                world.token() >= 2
            }),
            Property::sometimes(
                "an effect happens without the lease",
                |setting: &Self, world: &World| !setting.paused || world.effect_without_lease,
            ),
        ]
    }
}

/// Checks every reachable state; gives back their number.
#[track_caller]
fn holds(setting: Setting) -> usize {
    let checker = setting.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

#[track_caller]
fn violates(setting: Setting, property: &'static str) {
    let checker = setting
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyOf([property].into()))
        .spawn_bfs()
        .join();
    checker.assert_any_discovery(property);
}

#[test]
fn every_state_is_safe_when_messages_get_lost_or_late() {
    let states = holds(Setting {
        faults: 1,
        ticks: 2,
        ..Setting::default()
    });

    assert!(states > 100_000, "the model has only {states} states");
}

#[test]
fn every_state_is_safe_when_processes_die_and_start_again() {
    let states = holds(Setting {
        crashes: 1,
        ticks: 2,
        ..Setting::default()
    });

    assert!(states > 50_000, "the model has only {states} states");
}

#[test]
fn a_run_that_is_paused_after_its_check_makes_neither_a_second_pki_nor_a_second_cluster() {
    let states = holds(Setting {
        paused: true,
        ticks: 3,
        ..Setting::default()
    });

    assert!(states > 100_000, "the model has only {states} states");
}

/// The long form, for minutes: `cargo test -p lungmen-bootstrap --release --lib -- --ignored --nocapture model`.
#[test]
#[ignore = "the long form of the tests above takes minutes"]
fn every_state_is_safe_in_the_long_form() {
    for (faults, crashes, slow, paused) in [
        (1, 1, false, false),
        (1, 0, false, true),
        (0, 1, false, true),
        (1, 0, true, false),
    ] {
        let states = holds(Setting {
            faults,
            crashes,
            slow,
            paused,
            ..Setting::default()
        });
        println!(
            "faults {faults}, crashes {crashes}, slow {slow}, paused {paused}: {states} states"
        );
    }
}

#[test]
fn the_model_finds_two_clusters_when_the_choice_is_not_recorded() {
    violates(
        Setting {
            paused: true,
            without: Some(Rule::RecordTheChoice),
            ..Setting::default()
        },
        "at most one bootstrapped node",
    );
}

#[test]
fn the_model_finds_a_lost_pki_when_a_record_is_not_read_back() {
    violates(
        Setting {
            faults: 1,
            without: Some(Rule::ReadBack),
            ..Setting::default()
        },
        "no secret is lost that a node knows",
    );
}

#[test]
fn the_model_finds_an_effect_without_the_lease_when_it_is_not_checked() {
    violates(
        Setting {
            without: Some(Rule::CheckTheLease),
            ..Setting::default()
        },
        "no effect without a valid lease",
    );
}
