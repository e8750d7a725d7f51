//! Per operation: the exact request, success, refusal with its kind, timeout.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod argocd;
mod bootstrap;
mod factory;
mod proxmox;
mod recipes;
#[path = "../sample.rs"]
mod sample;
mod talos;
