//! Random tokens and secrets.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::key::KeyOperationFailed;
use super::pki::random;

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Random bytes from here on would make the first four symbols likelier than the others.
const UNBIASED: u8 = 252;

/// A token in the form of kubeadm: six symbols, a dot, sixteen symbols.
pub(crate) fn token() -> Result<SecretString, KeyOperationFailed> {
    let mut text = Zeroizing::new(String::with_capacity(23));
    push_symbols(&mut text, 6)?;
    text.push('.');
    push_symbols(&mut text, 16)?;
    Ok(SecretString::from(text.as_str()))
}

fn push_symbols(text: &mut String, count: usize) -> Result<(), KeyOperationFailed> {
    let end = text.len() + count;
    while text.len() < end {
        let bytes = Zeroizing::new(random::<32>()?);
        let symbols = bytes
            .iter()
            .filter(|byte| **byte < UNBIASED)
            .map(|byte| ALPHABET[usize::from(byte % 36)]);
        text.extend(symbols.take(end - text.len()).map(char::from));
    }
    Ok(())
}

/// 32 random bytes in standard base64.
pub(crate) fn secret() -> Result<SecretString, KeyOperationFailed> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(SecretString::from(BASE64_STANDARD.encode(*bytes)))
}

/// 32 random bytes in URL-safe base64 with padding, as cluster IDs are written.
pub(crate) fn cluster_id() -> Result<String, KeyOperationFailed> {
    Ok(BASE64_URL_SAFE.encode(random::<32>()?))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn tokens_have_the_form_of_kubeadm() {
        for _ in 0..100 {
            let token = token().unwrap();
            let (id, secret) = token.expose_secret().split_once('.').unwrap();
            assert_eq!((id.len(), secret.len()), (6, 16));
            assert!(
                id.bytes()
                    .chain(secret.bytes())
                    .all(|byte| ALPHABET.contains(&byte))
            );
        }
    }

    #[test]
    fn every_symbol_occurs() {
        let drawn: String = (0..200)
            .map(|_| token().unwrap().expose_secret().to_owned())
            .collect();

        assert!(
            ALPHABET
                .iter()
                .all(|symbol| drawn.contains(char::from(*symbol)))
        );
    }

    #[test]
    fn secrets_and_ids_are_44_characters() {
        assert_eq!(secret().unwrap().expose_secret().len(), 44);
        let id = cluster_id().unwrap();
        assert_eq!(id.len(), 44);
        assert!(!id.contains(['+', '/']));
    }
}
