//! What a user can ask for, one file per verb.

pub(crate) mod apply;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod observe;
pub(crate) mod outline;
pub(crate) mod plan;
pub(crate) mod status;
