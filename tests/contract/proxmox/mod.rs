//! Contract tests of the proxmox client.
