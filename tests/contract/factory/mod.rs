//! Contract tests of the factory client.
