//! How far each machine of the cluster has come.

use secrecy::SecretString;

use crate::desired::DesiredMachine;
use crate::nodes::found::FoundNode;

/// A machine with the node that answers for it and the configuration that it gets.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) machine: DesiredMachine,
    pub(crate) found: FoundNode,
    pub(crate) config: SecretString,
}
