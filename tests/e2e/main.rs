//! The whole chain against the Lab.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod addresses;
mod claim;
mod complete;
mod crash;
mod destroy;
mod doctor;
mod etcd_members;
mod evidence;
mod fault_matrix;
mod faults;
mod ha;
mod hardware;
mod help;
mod image;
mod interrupted;
mod limits;
mod lints;
mod observe;
mod pipelines;
mod places;
mod plan;
mod program;
mod race_matrix;
mod reaction;
mod registration;
mod releases;
mod renew;
mod repeat;
mod requests;
mod resume;
#[path = "../sample.rs"]
mod sample;
mod scale;
mod several;
mod soak;
mod spec;
mod split_brain;
mod status;
mod support;
mod user_data;
mod writes;
