//! The guide: pages for people who run a bootstrap, and for those who embed one.
//!
//! Links between pages are references. The first definition of a reference counts, so that the ones here lead to the pages
//! of this documentation, and those at the end of a file to its neighbours.

/// [proxmox-role]: crate::guide::proxmox_role
/// [dns]: crate::guide::dns
/// [files]: crate::guide::files
///
#[doc = include_str!("../docs/first-cluster.md")]
pub mod first_cluster {}

#[doc = include_str!("../docs/specification.md")]
pub mod specification {}

/// [security]: crate::guide::security
///
#[doc = include_str!("../docs/proxmox-role.md")]
pub mod proxmox_role {}

#[doc = include_str!("../docs/argocd.md")]
pub mod argocd {}

#[doc = include_str!("../docs/openbao.md")]
pub mod openbao {}

#[doc = include_str!("../docs/dns.md")]
pub mod dns {}

#[doc = include_str!("../docs/files.md")]
pub mod files {}

/// [proxmox-role]: crate::guide::proxmox_role
/// [openbao]: crate::guide::openbao
/// [argocd]: crate::guide::argocd
/// [dns]: crate::guide::dns
///
#[doc = include_str!("../docs/failures.md")]
pub mod failures {}

#[doc = include_str!("../docs/doctor.md")]
pub mod doctor {}

#[doc = include_str!("../docs/changes.md")]
pub mod changes {}

#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}
