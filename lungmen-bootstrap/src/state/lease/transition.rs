//! The lease as pure transitions. `H` is a holder, `V` a revision, time is in ticks of the caller's own clock.
//!
//! Nobody compares clocks of two machines. The holder counts from the moment *before it sent* the write that was accepted; a
//! candidate counts from the moment *after it first read* a revision. The second moment is never before the first, so a
//! holder that stops `margin` before its duration is over has stopped before a candidate may take over, as long as the two
//! clocks do not drift apart by more than twice the margin within one duration.

/// Milliseconds on a clock of this process.
pub(crate) type Tick = u64;

/// How often a write is repeated whose fate stays unknown.
const ATTEMPTS: u8 = 4;

/// Two readings of time, because the two sides must err in different directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Now {
    /// The time that has passed at least. A candidate waits by it.
    pub(crate) least: Tick,
    /// The time that may have passed, suspended time included. A holder ends by it.
    pub(crate) most: Tick,
}

/// How long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    /// From the start of the write that was accepted.
    pub(crate) duration: Tick,
    /// How much earlier the holder stops, and how much later a candidate takes over.
    pub(crate) margin: Tick,
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LeaseState<H> {
    pub(crate) holder: H,
    /// The fencing token: grows with every change of the holder.
    pub(crate) token: u64,
    /// Grows with every write of the holder.
    pub(crate) beat: u64,
    pub(crate) duration: Tick,
    pub(crate) released: bool,
}

/// What a driver has to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Command<H, V> {
    Read,
    Create(LeaseState<H>),
    Replace(V, LeaseState<H>),
    /// Somebody else holds the lease: read again, at the latest at this tick of [`Now::least`].
    Wait(Tick),
    Done,
}

/// What a store responded; the same five cases as for a claim.
pub(crate) type Response<H, V> = crate::state::claim::transition::Response<LeaseState<H>, V>;

/// A revision of another holder, and since when it is the newest as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Watched<H, V> {
    pub(crate) revision: V,
    pub(crate) state: LeaseState<H>,
    pub(crate) since: Tick,
}

/// A write on its way: what is written in place of what, and when it was first sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt<H, V> {
    state: LeaseState<H>,
    replaces: Option<V>,
    sent: Tick,
    number: u8,
}

/// Somebody who wants the lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Candidacy<H, V> {
    Reading(Option<Watched<H, V>>),
    Waiting(Watched<H, V>),
    Writing(Attempt<H, V>),
    Confirming(Attempt<H, V>),
    Acquired(Tenure<H, V>),
    /// The store accepts nothing.
    Unresolved,
}

impl<H, V> Default for Candidacy<H, V> {
    fn default() -> Self {
        Self::Reading(None)
    }
}

/// The response that a candidate receives.
pub(crate) struct Circumstances<'a, H, D> {
    pub(crate) me: &'a H,
    pub(crate) terms: Terms,
    pub(crate) now: Now,
    /// Whether a holder is known to be dead. False when that is unknown.
    pub(crate) is_dead: D,
}

impl<H: Clone + PartialEq, V: Clone + PartialEq> Candidacy<H, V> {
    pub(crate) fn command(&self, terms: Terms) -> Command<H, V> {
        match self {
            Self::Reading(_) | Self::Confirming(_) => Command::Read,
            Self::Waiting(watched) => Command::Wait(watched.ends(terms)),
            Self::Writing(attempt) => match &attempt.replaces {
                None => Command::Create(attempt.state.clone()),
                Some(revision) => Command::Replace(revision.clone(), attempt.state.clone()),
            },
            Self::Acquired(_) | Self::Unresolved => Command::Done,
        }
    }

    /// The wait is over, or part of it.
    pub(crate) fn waited(self) -> Self {
        match self {
            Self::Waiting(watched) => Self::Reading(Some(watched)),
            other => other,
        }
    }

    pub(crate) fn respond(
        self,
        response: Response<H, V>,
        with: &Circumstances<'_, H, impl Fn(&H) -> bool>,
    ) -> Self {
        match (self, response) {
            (Self::Reading(_), Response::Absent) => Self::Writing(Attempt::first(None, 0, with)),
            (Self::Reading(watched), Response::Found(revision, state)) => {
                Self::consider(watched, revision, state, with)
            }
            (Self::Writing(attempt), Response::Written(revision)) => {
                Self::Acquired(attempt.tenure(revision, with.terms))
            }
            (Self::Writing(attempt), _) => Self::Confirming(attempt),
            (Self::Confirming(attempt), Response::Found(revision, state)) => {
                if state == attempt.state {
                    Self::Acquired(attempt.tenure(revision, with.terms))
                } else if attempt.replaces.as_ref() == Some(&revision) {
                    attempt.again()
                } else {
                    Self::consider(None, revision, state, with)
                }
            }
            (Self::Confirming(attempt), Response::Absent) if attempt.replaces.is_none() => {
                attempt.again()
            }
            (Self::Confirming(_), Response::Absent) => Self::Unresolved,
            (state, _) => state,
        }
    }

    /// Somebody else's lease: taken over when it is released, when its holder is dead, or when it was not renewed for its
    /// whole duration and the margin.
    fn consider(
        watched: Option<Watched<H, V>>,
        revision: V,
        state: LeaseState<H>,
        with: &Circumstances<'_, H, impl Fn(&H) -> bool>,
    ) -> Self {
        let since = match watched {
            Some(watched) if watched.revision == revision => watched.since,
            _ => with.now.least,
        };
        let watched = Watched {
            revision,
            state,
            since,
        };
        let over = with.now.least >= watched.ends(with.terms);
        if watched.state.released || over || (with.is_dead)(&watched.state.holder) {
            let token = watched.state.token;
            Self::Writing(Attempt::first(Some(watched.revision), token, with))
        } else {
            Self::Waiting(watched)
        }
    }
}

impl<H, V> Watched<H, V> {
    fn ends(&self, terms: Terms) -> Tick {
        self.since
            .saturating_add(self.state.duration)
            .saturating_add(terms.margin)
    }
}

impl<H: Clone, V> Attempt<H, V> {
    fn first<D>(replaces: Option<V>, token: u64, with: &Circumstances<'_, H, D>) -> Self {
        Self {
            state: LeaseState {
                holder: with.me.clone(),
                token: token + 1,
                beat: 0,
                duration: with.terms.duration,
                released: false,
            },
            replaces,
            sent: with.now.most,
            number: 1,
        }
    }

    /// The same write, counted from the first time it was sent: whichever of them arrives, the lease is not overestimated.
    fn again(self) -> Candidacy<H, V> {
        if self.number >= ATTEMPTS {
            return Candidacy::Unresolved;
        }
        Candidacy::Writing(Self {
            number: self.number + 1,
            ..self
        })
    }

    fn tenure(self, revision: V, terms: Terms) -> Tenure<H, V> {
        Tenure {
            valid_until: terms.valid_until(self.sent),
            last_beat: self.state.beat,
            state: self.state,
            revision,
            phase: Phase::Idle,
        }
    }
}

impl Terms {
    fn valid_until(self, sent: Tick) -> Tick {
        sent.saturating_add(self.duration)
            .saturating_sub(self.margin)
    }
}

/// Somebody who holds the lease, or held it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tenure<H, V> {
    pub(crate) state: LeaseState<H>,
    revision: V,
    valid_until: Tick,
    /// The highest beat that was ever sent; each write has one of its own.
    last_beat: u64,
    phase: Phase<H>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase<H> {
    Idle,
    Writing(Renewal<H>),
    Confirming(Renewal<H>),
    Lost(Option<LeaseState<H>>),
    Released,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Renewal<H> {
    state: LeaseState<H>,
    sent: Tick,
}

impl<H: Clone + PartialEq, V: Clone + PartialEq> Tenure<H, V> {
    /// Whether an effect may begin now. Not while a release is on its way: another run may hold the lease already.
    pub(crate) fn is_valid(&self, now: Now) -> bool {
        !self.is_over() && !self.is_releasing() && now.most < self.valid_until
    }

    fn is_releasing(&self) -> bool {
        match &self.phase {
            Phase::Writing(renewal) | Phase::Confirming(renewal) => renewal.state.released,
            Phase::Idle | Phase::Lost(_) | Phase::Released => false,
        }
    }

    /// Whether the lease is lost or released for good.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Lost(_) | Phase::Released)
    }

    /// The state that another holder wrote over this lease.
    pub(crate) fn successor(&self) -> Option<&LeaseState<H>> {
        match &self.phase {
            Phase::Lost(successor) => successor.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn command(&self) -> Command<H, V> {
        match &self.phase {
            Phase::Writing(renewal) => {
                Command::Replace(self.revision.clone(), renewal.state.clone())
            }
            Phase::Confirming(_) => Command::Read,
            Phase::Idle | Phase::Lost(_) | Phase::Released => Command::Done,
        }
    }

    /// Begins to renew. Possible also after the lease ran out: the check-and-set succeeds only when nobody took over.
    pub(crate) fn renew(self, now: Now) -> Self {
        self.write(now, false)
    }

    /// Begins to give the lease back.
    pub(crate) fn release(self, now: Now) -> Self {
        self.write(now, true)
    }

    fn write(mut self, now: Now, released: bool) -> Self {
        if self.is_over() {
            return self;
        }
        self.last_beat += 1;
        self.phase = Phase::Writing(Renewal {
            state: LeaseState {
                beat: self.last_beat,
                released,
                ..self.state.clone()
            },
            sent: now.most,
        });
        self
    }

    pub(crate) fn respond(mut self, response: Response<H, V>, terms: Terms) -> Self {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        match (phase, response) {
            (Phase::Writing(renewal), Response::Written(revision)) => {
                self.accepted(renewal, revision, terms);
            }
            (Phase::Writing(renewal), _) => self.phase = Phase::Confirming(renewal),
            (Phase::Confirming(renewal), Response::Found(revision, found)) => {
                if found == renewal.state {
                    self.accepted(renewal, revision, terms);
                } else if found.holder == self.state.holder && found.token == self.state.token {
                    // The write has not arrived, or an earlier one did. Whose time counts is unknown, so none is gained.
                    // A release may still arrive late: the lease is not used any more.
                    if renewal.state.released {
                        self.valid_until = 0;
                    }
                    self.revision = revision;
                    self.state = found;
                } else {
                    self.phase = Phase::Lost(Some(found));
                }
            }
            (Phase::Confirming(_), Response::Absent) => self.phase = Phase::Lost(None),
            (phase, _) => self.phase = phase,
        }
        self
    }

    fn accepted(&mut self, renewal: Renewal<H>, revision: V, terms: Terms) {
        self.revision = revision;
        self.phase = if renewal.state.released {
            Phase::Released
        } else {
            self.valid_until = self.valid_until.max(terms.valid_until(renewal.sent));
            Phase::Idle
        };
        self.state = renewal.state;
    }
}
