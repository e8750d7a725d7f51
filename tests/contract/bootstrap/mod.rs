//! Contract tests of the bootstrap's own services: Kubernetes and OpenBao.

mod kubernetes;
mod kubernetes_argocd;
mod kubernetes_core;
mod kubernetes_forward;
mod kubernetes_recorded;
mod kubernetes_verify;
mod openbao;
mod openbao_fidelity;
mod openbao_login;
mod openbao_mock;
mod openbao_real;
mod openbao_scenario;
mod recorded_names;
mod registration;
mod store_age;
mod store_directory;
mod store_kubernetes;
mod store_memory;
mod store_openbao;
mod store_processes;
mod store_scenario;
