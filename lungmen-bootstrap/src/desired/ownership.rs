//! How a VM proves that it belongs to a cluster.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SMBIOS UUID of a machine, derived from the id of the cluster and the name of the machine.
///
/// It is set when the VM is created and cannot be there by chance. Talos reports it as part of its system information, so
/// the node behind an address can be matched with its VM. The VM id is no part of it: a machine that was created under
/// another id is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineUuid([u8; 16]);

impl MachineUuid {
    /// `cluster_id` is the id of the cluster record, which nobody can guess, so that nobody can compute the UUID from the
    /// specification.
    pub(crate) fn derive(cluster_id: &str, machine: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["lungmen", cluster_id, machine] {
            hash.update(part.as_bytes());
            // A separator that no name contains keeps ("a", "bc") and ("ab", "c") apart.
            hash.update([0]);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // Version 8 (RFC 9562): the other bits are the maker's own.
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Whether `text` has the form of these UUIDs: the VM was created by this program, for whatever cluster.
    pub(crate) fn is_derived(text: &str) -> bool {
        let bytes = text.trim().as_bytes();
        bytes.len() == 36 && bytes[14] == b'8' && matches!(bytes[19], b'8' | b'9' | b'a' | b'b')
    }

    /// Whether `text`, as a server prints it, is this UUID.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.to_string().eq_ignore_ascii_case(text.trim())
    }
}

impl fmt::Display for MachineUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_depends_on_every_part_and_on_nothing_else() {
        let uuid = MachineUuid::derive("a.b", "tal01");

        assert_eq!(uuid, MachineUuid::derive("a.b", "tal01"));
        assert_ne!(uuid, MachineUuid::derive("a", "b.tal01"));
        assert_ne!(uuid, MachineUuid::derive("a.b", "tal02"));
    }

    #[test]
    fn it_is_a_version_8_uuid() {
        let text = MachineUuid::derive("a", "b").to_string();

        assert!(MachineUuid::is_derived(&text));
        assert!(!MachineUuid::is_derived(
            "5f8c2d30-1111-4222-8333-444455556666"
        ));
        assert!(MachineUuid::derive("a", "b").is(&text.to_uppercase()));
    }
}
