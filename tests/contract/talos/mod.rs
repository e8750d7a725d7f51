//! Contract tests of the talos client.
