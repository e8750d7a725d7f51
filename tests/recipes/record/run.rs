//! The recorder as a command.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use url::Url;

use super::{Answer, Recorder, Request, Server};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long a task may run whose end is recorded, and how often it is asked.
const TASK: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_millis(500);

/// A recording and the server that makes it again.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The recording to replace
    recording: PathBuf,
    /// Where the server is, such as https://pve-01.example.org:8006
    #[arg(long)]
    server: Url,
    /// The certificate of the authority of a server with HTTPS, as PEM
    #[arg(long)]
    ca: Option<PathBuf>,
    /// `KIND=FILE`: the header lines of a caller that `auth` of the recording names. The file is read for each request
    #[arg(long)]
    auth: Vec<String>,
    /// `RECORDED=OURS`: what stands for a text of the recording where the server is, such as the address of the images
    #[arg(long)]
    place: Vec<String>,
    /// How many seconds an answer may be silent before it counts as missing
    #[arg(long, default_value_t = 30)]
    timeout: u64,
    /// `NUMBER=PROGRAM`: runs before the exchange of this number, for what the recording does not send
    #[arg(long)]
    before: Vec<String>,
}

/// Records, and writes the file after the last answer.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<PathBuf>> {
    let text = super::super::files::read(&arguments.recording)?;
    let mut recorder = Recorder::new(&text, pairs(&arguments.place)?)?;
    let authority = arguments
        .ca
        .as_deref()
        .map(super::super::files::read)
        .transpose()?;
    let server = Server::new(arguments.server.clone(), authority.as_deref())?
        .timeout(Duration::from_secs(arguments.timeout));
    let (callers, programs) = (pairs(&arguments.auth)?, pairs(&arguments.before)?);
    for index in 0..recorder.len() {
        let exchange = recorder.exchange(index);
        let number = exchange["seq"].to_string();
        for (_, program) in programs.iter().filter(|(before, _)| *before == number) {
            let status = Command::new(program).status()?;
            if !status.success() {
                return Err(format!("{program} before {number}: {status}").into());
            }
        }
        let kind = exchange["auth"].as_str().unwrap_or_default();
        let caller = caller(kind, &callers)?;
        let request = recorder.request(index, &caller);
        let answer = answer(&recorder, index, &server, &request)
            .map_err(|error| format!("{number}: {error}"))?;
        recorder.keep(index, answer.as_ref());
    }
    super::super::files::write(arguments.recording.clone(), &recorder.text())
}

/// The answer; a task whose end is recorded is asked until it has ended.
fn answer(
    recorder: &Recorder,
    index: usize,
    server: &Server,
    request: &Request,
) -> Result<Option<Answer>> {
    let end = Instant::now() + TASK;
    loop {
        let answer = server.send(request)?;
        if !recorder.has_to_wait(index, answer.as_ref()) || Instant::now() >= end {
            return Ok(answer);
        }
        sleep(INTERVAL);
    }
}

/// The headers of a caller. One without a file sends none when it is called `none`.
fn caller(kind: &str, callers: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let Some((_, file)) = callers.iter().find(|(name, _)| name == kind) else {
        return match kind {
            "none" => Ok(Vec::new()),
            _ => Err(format!("--auth {kind}=FILE is missing").into()),
        };
    };
    header_lines(file.as_ref())
}

/// The header lines of a file.
pub(crate) fn header_lines(file: &Path) -> Result<Vec<(String, String)>> {
    let text = super::super::files::read(file)?;
    let headers = text.lines().filter_map(|line| line.split_once(": "));
    Ok(headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn pairs(arguments: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |argument: &String| {
        let pair = argument.split_once('=');
        let (left, right) = pair.ok_or_else(|| format!("{argument} has no ="))?;
        Ok((left.to_owned(), right.to_owned()))
    };
    arguments.iter().map(pair).collect()
}
