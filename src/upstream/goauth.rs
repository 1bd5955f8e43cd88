//! GOAUTH: logins from `.netrc`, from git and from other programs, as `go` gets them (`go help goauth`).
//!
//! All commands run before the first request. After a refusal they run again with the URL and the refused answer, so that
//! tokens may be short-lived. A login is for the URLs below its prefix; of several the longest prefix counts, and for one prefix
//! the command that is named first. A command has limits for its time and output, and neither its words nor its output are
//! logged.

mod answer;
#[expect(clippy::disallowed_methods, reason = "it runs programs")]
mod command;
#[expect(clippy::disallowed_methods, reason = "it runs git")]
mod git_login;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use url::Url;

pub(crate) use self::answer::parse;
use self::answer::prefix_of;
pub use self::command::GoAuthError;
use self::command::{Asked, Command, Found, MAX_COMMANDS};
use self::git_login::GitLogin;
use crate::base::clock::Clock;
use crate::base::lock::lock;

/// All commands together: a request waits for them, and its client for the request.
const RUN_FOR: Duration = Duration::from_secs(30);
/// Clients choose the paths, so they must not choose how often programs run.
const RENEW_AFTER: Duration = Duration::from_secs(60);
/// Prefixes that are kept: a command may name another one for each URL.
const MAX_PREFIXES: usize = 10_000;
/// Logins of git that wait for an answer of their server: one for each server, with at most 64 KiB. Git is not told of more.
const MAX_UNTOLD: usize = 100;

/// The commands of a GOAUTH, and the logins that they gave. Has no `Display`, and its `Debug` shows nothing.
pub(super) struct GoAuth {
    commands: Vec<Command>,
    clock: Clock,
    logins: Mutex<HashMap<String, HeaderMap>>,
    /// Logins of git, until git is told whether their server accepted them.
    untold: Mutex<HashMap<String, GitLogin>>,
    /// The first run.
    first: OnceCell<()>,
    renewed: tokio::sync::Mutex<Renewed>,
}

/// The last runs: a "not found" must not take the place of a run that an expired token needs.
#[derive(Default)]
struct Renewed {
    login_needed: Option<Instant>,
    maybe_hidden: Option<Instant>,
}

impl fmt::Debug for GoAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GoAuth(…)")
    }
}

impl PartialEq for GoAuth {
    fn eq(&self, other: &Self) -> bool {
        self.commands == other.commands
    }
}

impl Eq for GoAuth {}

impl GoAuth {
    /// Parses the value of a GOAUTH, and looks for its programs and folders. `netrc` is where `.netrc` is. Blocks.
    pub(super) fn new(value: &str, netrc: Option<&Path>, clock: Clock) -> Result<Self, GoAuthError> {
        let commands = texts(value)?.into_iter().map(|(nth, text)| Command::new(nth, text, netrc));
        Ok(Self::with(commands.collect::<Result<_, _>>()?, clock))
    }

    /// The same for the value that `go` uses. What cannot be used gives no login, and the log says why when it would run: `go`
    /// continues without a program that it does not find, and most servers need no login.
    pub(super) fn of_go(value: &str, netrc: Option<&Path>, clock: Clock) -> Self {
        let usable = |(nth, text)| Command::new(nth, text, netrc).unwrap_or_else(|why| Command::unusable(nth, why));
        let commands = texts(value).map(|texts| texts.into_iter().map(usable).collect());
        Self::with(commands.unwrap_or_else(|why| vec![Command::unusable(1, why)]), clock)
    }

    fn with(commands: Vec<Command>, clock: Clock) -> Self {
        let (first, renewed) = (OnceCell::new(), tokio::sync::Mutex::default());
        Self { commands, clock, logins: Mutex::default(), untold: Mutex::default(), first, renewed }
    }

    /// The headers of a request for this URL.
    pub(super) async fn headers(self: &Arc<Self>, url: &Url) -> HeaderMap {
        if !self.first.initialized() {
            let this = Arc::clone(self);
            // In a task of its own: the run goes on if the client leaves.
            let run = async move {
                this.first.get_or_init(|| this.run(None)).await;
            };
            let _ = tokio::spawn(run).await;
        }
        self.known(url)
    }

    /// Other headers than those that were `sent` in a request that was refused, if the commands have others now.
    pub(super) async fn renewed(self: &Arc<Self>, url: &Url, sent: HeaderMap, refusal: &Response) -> Option<HeaderMap> {
        let status = refusal.status();
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return None;
        }
        let asked = Asked::new(url, refusal);
        let (this, url) = (Arc::clone(self), url.clone());
        let run = async move {
            let other = || Some(this.known(&url)).filter(|headers| *headers != sent);
            let mut renewed = match status {
                StatusCode::UNAUTHORIZED => this.renewed.lock().await,
                // Requests for absent modules must not wait for a command that hangs.
                _ => match this.renewed.try_lock() {
                    Ok(renewed) => renewed,
                    Err(_) => return other(),
                },
            };
            // Another request may have waited for the same run.
            if let Some(headers) = other() {
                return Some(headers);
            }
            let last = match status {
                StatusCode::UNAUTHORIZED => &mut renewed.login_needed,
                _ => &mut renewed.maybe_hidden,
            };
            let now = this.clock.steady();
            if last.is_some_and(|then| now - then < RENEW_AFTER) {
                return None;
            }
            *last = Some(now);
            this.run(Some(&asked)).await;
            let other = other();
            if other.is_none() {
                // Git gave the refused login again.
                this.answered(&url, &sent, status);
            }
            other
        };
        tokio::spawn(run).await.ok().flatten()
    }

    /// Runs all commands, the first one last, so that its logins are the ones that stay.
    async fn run(&self, asked: Option<&Asked>) {
        let all = async {
            for command in self.commands.iter().rev() {
                match command.run(asked).await {
                    Ok(found) => self.keep(found),
                    Err(error) => tracing::warn!("{command} of GOAUTH gave no login: {error}"),
                }
            }
        };
        if timeout(RUN_FOR, all).await.is_err() {
            tracing::warn!("the commands of GOAUTH did not end within {} seconds", RUN_FOR.as_secs());
        }
    }

    /// A server answered a request for this url, with the headers that were `sent`. If they are a login of git, git is told,
    /// once for each time that it gave the login; nobody waits for that.
    pub(super) fn answered(&self, url: &Url, sent: &HeaderMap, status: StatusCode) {
        let is_accepted = match status {
            StatusCode::UNAUTHORIZED => false,
            StatusCode::NOT_MODIFIED => true,
            _ if status.is_success() => true,
            // The server may hide something, or is in trouble.
            _ => return,
        };
        let Some((prefix, _)) = self.found(url).filter(|(_, headers)| headers == sent) else { return };
        if let Some(login) = self.untold().remove(&prefix) {
            tokio::spawn(login.tell(is_accepted));
        }
    }

    /// A login without headers removes the one before it.
    fn keep(&self, Found { logins: found, mut of_git }: Found) {
        let (mut logins, mut untold) = (self.logins(), self.untold());
        for (prefix, headers) in found {
            untold.remove(&prefix);
            if headers.is_empty() {
                logins.remove(&prefix);
            } else if logins.len() < MAX_PREFIXES || logins.contains_key(&prefix) {
                if let Some(login) = of_git.take().filter(|_| untold.len() < MAX_UNTOLD) {
                    untold.insert(prefix.clone(), login);
                }
                logins.insert(prefix, headers);
            }
        }
    }

    fn known(&self, url: &Url) -> HeaderMap {
        self.found(url).map(|(_, headers)| headers).unwrap_or_default()
    }

    /// The login for this url, with its prefix.
    fn found(&self, url: &Url) -> Option<(String, HeaderMap)> {
        let logins = self.logins();
        let whole = prefix_of(url);
        // One for a server on this machine may leave out the scheme, as `.netrc` does.
        let mut prefix = whole.strip_prefix("http://").unwrap_or(&whole);
        loop {
            let exact = whole.strip_prefix("http://").map(|_| format!("http://{prefix}"));
            let found = exact.and_then(|exact| logins.get_key_value(&exact)).or_else(|| logins.get_key_value(prefix));
            if let Some((prefix, headers)) = found {
                return Some((prefix.clone(), headers.clone()));
            }
            prefix = prefix.rsplit_once('/')?.0;
        }
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<String, GitLogin>> {
        lock(&self.untold)
    }

    fn logins(&self) -> MutexGuard<'_, HashMap<String, HeaderMap>> {
        lock(&self.logins)
    }
}

/// The texts of the commands, and their places from 1.
fn texts(value: &str) -> Result<Vec<(usize, &str)>, GoAuthError> {
    let texts: Vec<_> = (1..).zip(value.split(';').map(str::trim)).collect();
    match texts.len() {
        1 if texts[0].1 == "off" => Ok(Vec::new()),
        _ if texts.iter().any(|(_, text)| *text == "off") => Err(GoAuthError::Off),
        1..=MAX_COMMANDS => Ok(texts),
        count => Err(GoAuthError::TooMany(count)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::time::SystemTime;

    use super::*;

    fn goauth(netrc: &Path) -> Arc<GoAuth> {
        let clock = Clock::seeded(SystemTime::UNIX_EPOCH);
        Arc::new(GoAuth::new("netrc", Some(netrc), clock).unwrap())
    }

    fn refusal(status: u16) -> Response {
        Response::from(hyper::Response::builder().status(status).body("").unwrap())
    }

    /// A file with this password for a host.
    fn write(file: &Path, password: &str) {
        std::fs::write(file, format!("machine a.example login me password {password}\n")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn commands_run_again_after_a_refusal_at_most_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("netrc");
        let (goauth, url) = (goauth(&file), Url::parse("https://a.example/x").unwrap());
        assert_eq!(goauth.headers(&url).await, HeaderMap::new(), "a missing file has no logins");
        write(&file, "1");
        assert_eq!(goauth.headers(&url).await, HeaderMap::new(), "nothing was refused");
        assert_eq!(goauth.renewed(&url, HeaderMap::new(), &refusal(500)).await, None);
        let first = goauth.renewed(&url, HeaderMap::new(), &refusal(401)).await.unwrap();
        assert_eq!(goauth.headers(&url).await, first);
        // A request that was sent before that gets the same headers without another run.
        assert_eq!(goauth.renewed(&url, HeaderMap::new(), &refusal(401)).await, Some(first.clone()));
        write(&file, "2");
        tokio::time::advance(RENEW_AFTER.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(goauth.renewed(&url, first.clone(), &refusal(401)).await, None);
        // After a 404 they may run once more; then after neither.
        let second = goauth.renewed(&url, first.clone(), &refusal(404)).await.unwrap();
        write(&file, "3");
        assert_eq!(goauth.renewed(&url, second.clone(), &refusal(403)).await, None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(goauth.renewed(&url, second.clone(), &refusal(401)).await.is_some_and(|third| third != second));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_401_waits_for_a_run() {
        let (goauth, url) = (goauth(Path::new("/nowhere")), Url::parse("https://a.example/x").unwrap());
        let _run = goauth.renewed.lock().await;
        let renewed = async |status| {
            timeout(Duration::from_secs(5), goauth.renewed(&url, HeaderMap::new(), &refusal(status))).await
        };
        for status in [403, 404] {
            assert_eq!(renewed(status).await, Ok(None), "{status}");
        }
        assert!(renewed(401).await.is_err());
        // The run may have given the login already.
        let login = HeaderMap::from_iter([(reqwest::header::COOKIE, "1".parse().unwrap())]);
        goauth.keep(vec![("a.example".to_owned(), login.clone())].into());
        assert_eq!(renewed(404).await, Ok(Some(login)));
    }

    #[tokio::test]
    async fn what_go_cannot_use_gives_no_login_and_stops_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("netrc");
        write(&file, "1");
        let url = Url::parse("https://a.example/x").unwrap();
        let of_go = |value: &str| Arc::new(GoAuth::of_go(value, Some(&file), Clock::seeded(SystemTime::UNIX_EPOCH)));
        for (value, logins) in
            [("netrc", 1), ("no-such-program; netrc;;git folder", 1), ("off", 0), ("netrc;off", 0), ("", 0)]
        {
            assert_eq!(of_go(value).headers(&url).await.len(), logins, "{value}");
        }
    }

    #[test]
    fn the_longest_prefix_counts_and_no_other_host_or_port() {
        let goauth = goauth(Path::new("/nowhere"));
        let one = |name: &'static str| HeaderMap::from_iter([(reqwest::header::COOKIE, name.parse().unwrap())]);
        let prefixes = ["a.example", "a.example/go", "a.example:8443", "localhost:80", "http://localhost/x"];
        goauth.keep(Vec::from(prefixes.map(|prefix| (prefix.to_owned(), one(prefix)))).into());
        for (url, expected) in [
            ("https://a.example/", Some("a.example")),
            ("https://a.example/gopher", Some("a.example")),
            ("https://a.example/go/x", Some("a.example/go")),
            ("https://a.example:8443/go/x", Some("a.example:8443")),
            ("https://a.example:9000/go/x", None),
            ("https://b.a.example/go", None),
            ("https://example/", None),
            ("https://localhost/x", None),
            ("http://localhost/x/y", Some("http://localhost/x")),
            ("http://localhost/y", None),
        ] {
            let found = goauth.known(&Url::parse(url).unwrap());
            assert_eq!(found.get("cookie").map(|value| value.to_str().unwrap()), expected, "{url}");
        }
        goauth.keep(vec![("a.example/go".to_owned(), HeaderMap::new())].into());
        assert_eq!(goauth.known(&Url::parse("https://a.example/go/x").unwrap()), one("a.example"));
    }
}
