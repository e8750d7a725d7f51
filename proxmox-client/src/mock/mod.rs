//! A stateful Proxmox VE in the process.
