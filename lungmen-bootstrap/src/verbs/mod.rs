//! What a user can ask of a cluster, one file for each verb.

pub(crate) mod plan;
