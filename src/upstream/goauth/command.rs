//! One command of GOAUTH, and how it runs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Response, Version};
use url::Url;

use super::answer::{self, AnswerError, of_git};
use super::git_login::{self, GitLogin};
use crate::base::process::{self, Limits, Output, ProcessError, is_distrusted, on_path};
use crate::upstream::authorization::basic;
use crate::upstream::netrc::{self, Line};

/// A program that asks a server of the company for a token needs a second or two. Its output has a few lines for each host.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), stdout: 64 << 10 };
/// Limit of the headers that a command gets: those of a refusal have about one kilobyte.
const MAX_HEAD: usize = 32 << 10;

/// Nobody has more; they run one after the other.
pub(super) const MAX_COMMANDS: usize = 16;

/// Why a GOAUTH cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoAuthError {
    /// Nothing between two semicolons.
    #[error("command {0} of GOAUTH is empty: remove one semicolon")]
    Empty(usize),
    /// Beside other commands.
    #[error("GOAUTH=off cannot be combined with other commands")]
    Off,
    /// More than fit.
    #[error("expected at most {MAX_COMMANDS} commands in GOAUTH, found {0}")]
    TooMany(usize),
    /// Not one absolute folder.
    #[error("command {0} of GOAUTH: expected `git DIR` with one absolute folder")]
    Git(usize),
    /// A quote without its partner.
    #[error("command {0} of GOAUTH has an opening quote without a closing one")]
    Quote(usize),
    /// Not a folder.
    #[error("command {0} of GOAUTH: expected a folder, found none at {path}", path = .1.display())]
    NoFolder(usize, PathBuf),
    /// In a repository that may have been changed by others.
    #[error("command {0} of GOAUTH: {path} is in the repository, whose programs are not run", path = .1.display())]
    InRepository(usize, PathBuf),
    /// Not a program.
    #[error("command {0} of GOAUTH: expected an absolute path, or a name on the PATH, of a program, found {1:?}")]
    NoProgram(usize, String),
}

/// The request that was refused, and the head of the answer, in the form of `go help goauth`.
pub(super) struct Asked {
    url: Url,
    head: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// Its place in GOAUTH, from 1.
    nth: usize,
    method: Method,
}

#[derive(Clone, PartialEq, Eq)]
enum Method {
    Netrc(Option<PathBuf>),
    Git(PathBuf, PathBuf),
    Program(PathBuf, Vec<String>),
    Unusable(GoAuthError),
}

/// What a command gave.
#[derive(Default)]
pub(super) struct Found {
    /// Headers, by the prefix of their urls.
    pub(super) logins: Vec<(String, HeaderMap)>,
    /// Git is told later whether a server accepted them.
    pub(super) of_git: Option<GitLogin>,
}

impl From<Vec<(String, HeaderMap)>> for Found {
    fn from(logins: Vec<(String, HeaderMap)>) -> Self {
        Self { logins, of_git: None }
    }
}

/// Why a command gave no login. Nothing of its output is quoted.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Unusable(#[from] GoAuthError),
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    #[error("expected at most {} bytes of output, found more", LIMITS.stdout)]
    TooLong,
    #[error("its output is not UTF-8 text")]
    NotText,
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("cannot read {}: {cause}", path.display())]
    Netrc { path: PathBuf, cause: io::Error },
}

impl fmt::Display for Command {
    /// Its place only: a word may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}", self.nth)
    }
}

impl Asked {
    pub(super) fn new(url: &Url, refusal: &Response) -> Self {
        Self { url: url.clone(), head: head(refusal) }
    }
}

impl Command {
    /// The command with this text, which is trimmed. Looks for its program and folder.
    pub(super) fn new(nth: usize, text: &str, netrc: Option<&Path>) -> Result<Self, GoAuthError> {
        let trusted =
            |path: PathBuf| if is_distrusted(&path) { Err(GoAuthError::InRepository(nth, path)) } else { Ok(path) };
        let found =
            |name: &str| program(name).ok_or_else(|| GoAuthError::NoProgram(nth, name.to_owned())).and_then(trusted);
        let method = match text.split_whitespace().collect::<Vec<_>>()[..] {
            [] => return Err(GoAuthError::Empty(nth)),
            ["netrc", ..] => Method::Netrc(netrc.map(Path::to_owned)),
            ["git", folder] if Path::new(folder).is_absolute() => {
                let folder = PathBuf::from(folder);
                if !folder.is_dir() {
                    return Err(GoAuthError::NoFolder(nth, folder));
                }
                // A program may be named in its settings.
                Method::Git(found("git")?, trusted(folder)?)
            }
            ["git", ..] => return Err(GoAuthError::Git(nth)),
            _ => {
                let mut words = words(text).ok_or(GoAuthError::Quote(nth))?;
                let first = words.remove(0);
                Method::Program(found(&first)?, words)
            }
        };
        Ok(Self { nth, method })
    }

    /// One that gives no login, because of `error`.
    pub(super) fn unusable(nth: usize, error: GoAuthError) -> Self {
        Self { nth, method: Method::Unusable(error) }
    }

    /// The logins that it gives: before the first request, or after a refused one.
    pub(super) async fn run(&self, asked: Option<&Asked>) -> Result<Found, RunError> {
        match &self.method {
            Method::Netrc(None) => Ok(Found::default()),
            Method::Unusable(error) => Err(error.clone().into()),
            Method::Netrc(Some(path)) => {
                let reading = path.clone();
                let read = tokio::task::spawn_blocking(move || of_netrc(&reading)).await;
                let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
                read.map(Found::from).map_err(|cause| RunError::Netrc { path: path.clone(), cause })
            }
            Method::Git(git, folder) => {
                // It has no login without a URL.
                let Some(Asked { url, .. }) = asked else { return Ok(Found::default()) };
                let output = output(git_login::command(git, folder, "fill"), format!("url={url}\n")).await?;
                let logins = vec![of_git(&output, url)?];
                Ok(Found { logins, of_git: Some(GitLogin::new(git, folder, output)) })
            }
            Method::Program(program, words) => {
                let mut command = tokio::process::Command::new(program);
                // The working folder may be that of a repository under audit.
                command.args(words).current_dir("/");
                let head = asked.map(|Asked { url, head }| {
                    command.arg(url.as_str());
                    head.clone()
                });
                Ok(answer::parse(&output(command, head.unwrap_or_default()).await?)?.into())
            }
        }
    }
}

async fn output(command: tokio::process::Command, input: String) -> Result<String, RunError> {
    let Output { status, stdout, stdout_cut, .. } =
        process::run_with_input(command, input.into_bytes(), LIMITS).await?;
    if !status.success() {
        return Err(RunError::Failed(status));
    }
    if stdout_cut {
        return Err(RunError::TooLong);
    }
    String::from_utf8(stdout).map_err(|_| RunError::NotText)
}

/// The logins of `.netrc`; a missing file has none, as for `go`.
fn of_netrc(path: &Path) -> io::Result<Vec<(String, HeaderMap)>> {
    let text = match netrc::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let login = |Line { machine, login, password }: Line<'_>| {
        // A name that a header cannot have is one that no server knows.
        Some((machine.to_owned(), HeaderMap::from_iter([(AUTHORIZATION, basic(login, password).ok()?)])))
    };
    // Of two logins for one machine the first counts.
    Ok(netrc::parse(&text).into_iter().rev().filter_map(login).collect())
}

/// A program on the PATH, or with an absolute path. A relative path would start where the mirror happens to run.
fn program(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    (!name.is_empty() && !name.contains('/')).then(|| on_path(name)).flatten()
}

/// The words of a command; one that begins with a quote ends at the next such quote. `None` if there is none.
fn words(text: &str) -> Option<Vec<String>> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let (mut words, mut rest) = (Vec::new(), text.trim_start_matches(is_space));
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first)?,
            _ => rest.split_at(rest.find(is_space).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start_matches(is_space);
    }
    Some(words)
}

/// The head of an answer: the status line, headers and an empty line.
fn head(answer: &Response) -> String {
    let version = match answer.version() {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let status = answer.status();
    let mut head = format!("{version} {} {}\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    for name in answer.headers().keys() {
        let values = answer.headers().get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let line = format!("{}: {}\n", canonical(name.as_str()), values.collect::<Vec<_>>().join(", "));
        if head.len() + line.len() <= MAX_HEAD {
            head.push_str(&line);
        }
    }
    head + "\n"
}

/// `Www-Authenticate`, as `go` writes it for programs that compare names letter by letter.
fn canonical(name: &str) -> String {
    let capital = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
    name.split('-')
        .map(|part| if part.is_empty() { String::new() } else { capital(part) })
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_word_may_be_quoted() {
        let split = |text: &str| words(text).map(|words| words.join("|"));
        for (text, expected) in [
            ("a b\t c", Some("a|b|c")),
            ("'a b' \"c 'd\" e'f", Some("a b|c 'd|e'f")),
            ("'a'b ''", Some("a|b|")),
            ("a\\ b", Some("a\\|b")),
            ("'a b", None),
            ("a \"b'", None),
        ] {
            assert_eq!(split(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_command_gets_the_head_of_the_refusal() {
        let answer = hyper::Response::builder().status(401).header("www-authenticate", "Basic").header("x-a", "1");
        let answer = answer.header("x-a", "2").header("x-long", "x".repeat(MAX_HEAD)).body("").unwrap();
        let head = head(&Response::from(answer));
        assert_eq!(head, "HTTP/1.1 401 Unauthorized\nWww-Authenticate: Basic\nX-A: 1, 2\n\n");
    }

    #[test]
    fn words_of_a_command_are_not_shown() {
        let command = Command::new(2, "/bin/sh secret", None).ok().unwrap();
        assert_eq!(command.to_string(), "command 2");
    }
}
