//! Contract tests of the bootstrap client.
