//! Random identifiers from the operating system.

use crate::error::{Error, ErrorKind, Result};

/// `N` random bytes in hexadecimal.
pub(crate) fn hex<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| {
            Error::new(ErrorKind::Server, "generate random identifier")
                .with_message("the random source of the operating system failed")
        })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
