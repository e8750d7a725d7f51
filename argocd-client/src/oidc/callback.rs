//! The local port to which the browser comes back.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::OPERATION;
use crate::error::{Error, ErrorKind, Result};

/// The longest request line that is read.
const LINE_LIMIT: u64 = 16 * 1024;

/// An open port of the loopback interface.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    port: u16,
}

impl Listener {
    pub(super) async fn open(port: u16) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, OPERATION)
                .with_message(format!(
                    "port {port} of the local callback cannot be opened"
                ))
                .with_source(error)
        };
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Answers requests until one is the callback of this login. Others, such as those for an icon,
    /// are not found.
    pub(super) async fn callback(&self, state: &str) -> Result<SecretString> {
        loop {
            let (stream, _) = self.listener.accept().await.map_err(|error| {
                Error::new(ErrorKind::Io, OPERATION)
                    .with_message("the local callback failed")
                    .with_source(error)
            })?;
            if let Some(result) = answer(stream, state).await {
                return result;
            }
        }
    }
}

/// Reads one request; none when it is not the callback.
async fn answer(stream: TcpStream, state: &str) -> Option<Result<SecretString>> {
    let mut reader = BufReader::new(tokio::io::AsyncReadExt::take(stream, LINE_LIMIT));
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    // The rest of the request is read, or closing the connection would take the answer along.
    let mut rest = String::new();
    while reader.read_line(&mut rest).await.ok()? > 2 {
        rest.clear();
    }
    let mut stream = reader.into_inner().into_inner();
    let Some(("/auth/callback", query)) = path.split_once('?') else {
        write(&mut stream, "404 Not Found", "Not found").await;
        return None;
    };
    let result = code_of(query, state);
    // An answer for another login, or a forged one, does not end this one.
    if result
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::InvalidInput)
    {
        write(
            &mut stream,
            "400 Bad Request",
            "This is not the expected login.",
        )
        .await;
        return None;
    }
    let text = if result.is_ok() {
        "Login finished. You can close this window."
    } else {
        "Login failed. The program shows the reason."
    };
    write(&mut stream, "200 OK", text).await;
    Some(result)
}

async fn write(stream: &mut TcpStream, status: &str, text: &str) {
    let length = text.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    );
    // The browser may be gone; the login does not depend on it.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The authorization code of a callback, after the check that it belongs to this login.
pub(super) fn code_of(query: &str, state: &str) -> Result<SecretString> {
    let value = |wanted: &str| {
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name == wanted).then(|| {
                percent_decode_str(&value.replace('+', " "))
                    .decode_utf8_lossy()
                    .into_owned()
            })
        })
    };
    if value("state").as_deref() != Some(state) {
        return Err(Error::new(ErrorKind::InvalidInput, OPERATION)
            .with_message("the address does not belong to this login: its state differs"));
    }
    if let Some(error) = value("error") {
        let description = value("error_description").unwrap_or_default();
        return Err(Error::new(ErrorKind::Unauthenticated, OPERATION)
            .with_message(format!("{error}: {description}")));
    }
    value("code").map(SecretString::from).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, OPERATION)
            .with_message("the address has no authorization code")
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_the_callback_of_this_login_gives_a_code() {
        let code = code_of("code=a%2Fb&state=s", "s").unwrap();
        assert_eq!(code.expose_secret(), "a/b");

        let kind = |query: &str| code_of(query, "s").unwrap_err().kind();
        assert_eq!(kind("code=a&state=other"), ErrorKind::InvalidInput);
        assert_eq!(kind("state=s"), ErrorKind::InvalidInput);
        assert_eq!(
            kind("error=access_denied&error_description=no+way&state=s"),
            ErrorKind::Unauthenticated
        );
    }
}
