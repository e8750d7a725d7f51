//! The claim as pure transitions: a command for the store, a response, the next state.
//!
//! `R` is the record. The code uses [`ClusterRecord`](crate::state::record::ClusterRecord), the model a small stand-in.

/// How often a write is repeated whose fate stays unknown.
const ATTEMPTS: u8 = 4;

/// What a driver has to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Command<R, V> {
    /// Read the record.
    Read,
    /// Generate an offer.
    Generate,
    /// Write the first revision, create-only.
    Create(R),
    /// Write a new revision in place of this one.
    Replace(V, R),
    /// Nothing: the state is final.
    Done,
}

/// What a store responded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Response<R, V> {
    /// The document was never written.
    Absent,
    /// The document, with its revision.
    Found(V, R),
    /// A write took effect.
    Written(V),
    /// A write was refused: somebody else was faster, or an earlier attempt took effect.
    Refused,
    /// The response to a write was lost: it may have taken effect, or take effect later.
    Lost,
}

/// The state of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Claim<R> {
    /// Nothing is known.
    #[default]
    Reading,
    /// There is no record, and no offer yet.
    Unclaimed,
    /// The offer is to be written.
    Offering { offer: R, attempt: u8 },
    /// The offer was written or refused, or nobody knows: a read decides.
    Confirming { offer: R, attempt: u8 },
    /// The end.
    Settled(Settled<R>),
}

/// The end of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Settled<R> {
    /// The store has this run's offer.
    Created(R),
    /// The store has the record of another run of the same cluster.
    Adopted(R),
    /// The store has the record of another cluster.
    Foreign(R),
    /// The store keeps nothing.
    Unresolved,
}

impl<R: Clone + PartialEq> Claim<R> {
    pub(crate) fn command<V>(&self) -> Command<R, V> {
        match self {
            Self::Reading | Self::Confirming { .. } => Command::Read,
            Self::Unclaimed => Command::Generate,
            Self::Offering { offer, .. } => Command::Create(offer.clone()),
            Self::Settled(_) => Command::Done,
        }
    }

    /// The offer that [`Command::Generate`] asked for.
    pub(crate) fn generated(self, offer: R) -> Self {
        match self {
            Self::Unclaimed => Self::Offering { offer, attempt: 1 },
            other => other,
        }
    }

    /// `ours` tells whether a record belongs to the wanted cluster.
    pub(crate) fn respond<V>(self, response: Response<R, V>, ours: impl Fn(&R) -> bool) -> Self {
        match (self, response) {
            (Self::Reading, Response::Absent) => Self::Unclaimed,
            (Self::Reading, Response::Found(_, record)) => settle(record, None, ours),
            // Whatever the response to the write was: only what is read back counts.
            (Self::Offering { offer, attempt }, _) => Self::Confirming { offer, attempt },
            (Self::Confirming { offer, .. }, Response::Found(_, record)) => {
                settle(record, Some(&offer), ours)
            }
            // The write has not taken effect, or not yet. The same offer again: should both arrive, the second is refused.
            (Self::Confirming { offer, attempt }, Response::Absent) if attempt < ATTEMPTS => {
                Self::Offering {
                    offer,
                    attempt: attempt + 1,
                }
            }
            (Self::Confirming { .. }, Response::Absent) => Self::Settled(Settled::Unresolved),
            (state, _) => state,
        }
    }

    pub(crate) fn settled(self) -> Option<Settled<R>> {
        match self {
            Self::Settled(settled) => Some(settled),
            _ => None,
        }
    }
}

fn settle<R: PartialEq>(record: R, offer: Option<&R>, ours: impl Fn(&R) -> bool) -> Claim<R> {
    Claim::Settled(if offer == Some(&record) {
        Settled::Created(record)
    } else if ours(&record) {
        Settled::Adopted(record)
    } else {
        Settled::Foreign(record)
    })
}
