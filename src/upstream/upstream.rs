//! One source at run time: asked within its bounds, and its health written down.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::config::{Source, UpstreamConfig};
use super::direct::Direct;
use super::error::UpstreamError;
use super::folder::Folder;
use super::health::Health;
use super::http::{Answer, Condition, HttpClient, HttpError};
use super::race::Progress;
use super::recent::Recent;
use super::sink::{DownloadSink, Part};
use super::times::Ttls;
use super::wanted::Wanted;
use crate::base::clock::Clock;
use gomodule::proxy_request::Request;

/// Paths of one source that are remembered as absent: about 150 bytes each.
const MAX_ABSENT: u64 = 20_000;
/// A file that had wrong bytes is not asked for again for so long, if another source may have it.
const WRONG_FOR: Duration = Duration::from_hours(1);
/// So many of them are remembered: about 150 bytes each.
const MAX_WRONG: u64 = 10_000;
/// How long a login counts as accepted after something came for it: one that expires is noticed after that.
const ACCEPTED_FOR: Duration = Duration::from_mins(10);
/// How often a download that broke off is taken up again, if each time more bytes had come.
const MAX_RESUMES: u32 = 8;
/// A download of this size is written down in the log each time so much more of it has come.
const TOLD_EVERY: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) config: UpstreamConfig,
    http: HttpClient,
    clock: Clock,
    health: Mutex<Health>,
    places: Semaphore,
    absent: Recent<Wanted, String>,
    wrong: Recent<Wanted, ()>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Http(Url),
    Folder(Folder),
    Direct(Direct),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Small {
    /// None if what the caller has is still right.
    pub(super) body: Option<Vec<u8>>,
    pub(super) tag: Option<String>,
    /// Another server than the source sent it.
    pub(super) elsewhere: bool,
}

impl Upstream {
    pub(super) fn new(
        config: UpstreamConfig,
        http: &HttpClient,
        ttls: Ttls,
        at_once: usize,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let way = match &config.source {
            Source::Http(base) => Way::Http(base.clone()),
            Source::Dir(root) => Way::Folder(Folder(root.clone())),
            Source::Direct(settings) => Way::Direct(Direct::new(settings, config.scope.clone(), clock)),
        };
        Ok(Self {
            http: http.for_upstream(&config)?,
            config,
            clock,
            health: Mutex::default(),
            places: Semaphore::new(at_once),
            absent: Recent::new(MAX_ABSENT, ttls.absent, clock),
            wrong: Recent::new(MAX_WRONG, WRONG_FOR, clock),
            way,
        })
    }

    pub(super) fn distrust(&self, wanted: &Wanted) {
        self.wrong.insert(wanted.clone(), ());
        self.health(Health::distrust);
    }

    pub(super) fn had_wrong(&self, wanted: &Wanted) -> bool {
        self.wrong.get(wanted).is_some()
    }

    /// What is said of its health now.
    pub(super) fn health<T>(&self, say: impl FnOnce(&mut Health, Instant) -> T) -> T {
        say(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner), self.clock.steady())
    }

    /// Asks for a small body, unless it still has the entity tag `unless`.
    pub(super) async fn small(&self, wanted: &Wanted, unless: Option<String>) -> Result<Small, UpstreamError> {
        self.remembered_absent(wanted)?;
        let whole = |body| Small { body: Some(body), tag: None, elsewhere: false };
        let base = match &self.way {
            Way::Http(base) => base,
            Way::Folder(folder) => return Ok(whole(folder.small(wanted).await?)),
            Way::Direct(direct) => {
                self.may_dial(wanted)?;
                let body = direct.small(wanted).await.map_err(|error| self.remember(wanted, error))?;
                return Ok(whole(body));
            }
        };
        let condition = unless.clone().map_or(Condition::None, Condition::Unless);
        let read = async |answer: Answer| {
            let (tag, elsewhere) = (answer.any_tag(), answer.elsewhere);
            if answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(Small { body: None, tag: unless, elsewhere });
            }
            Ok(Small { body: Some(answer.small(wanted.max_len()).await?), tag, elsewhere })
        };
        self.answer(base, wanted, &condition, read).await
    }

    /// Whether it gives out the file that is `wanted`. No byte of it is read.
    pub(super) async fn exists(&self, wanted: &Wanted) -> Result<(), UpstreamError> {
        self.remembered_absent(wanted)?;
        match &self.way {
            Way::Http(base) => self.answer(base, wanted, &Condition::None, async |_| Ok(())).await,
            Way::Folder(folder) => folder.open(wanted).await.map(|_| ()),
            Way::Direct(_) => self.small(wanted, None).await.map(|_| ()),
        }
    }

    /// What `read` makes of a small answer over HTTP.
    async fn answer<T>(
        &self,
        base: &Url,
        wanted: &Wanted,
        condition: &Condition,
        read: impl AsyncFnOnce(Answer) -> Result<T, HttpError>,
    ) -> Result<T, UpstreamError> {
        let (asking, started) = (self.ask().await?, self.clock.steady());
        let answered = async {
            let answer = self.http.ask(join(base, wanted), condition).await?;
            Ok((self.clock.steady() - started, read(answer).await?))
        };
        match answered.await {
            Ok((first_byte, answer)) => {
                asking.answered(first_byte, 0, Duration::ZERO);
                Ok(answer)
            }
            Err(error) => Err(self.checked(wanted, asking.failed(error)).await),
        }
    }

    /// What it said of what is `wanted`. That something is not there is remembered; but where it may hide things from a login that it
    /// does not accept, it must have given out something for that login: if not this, then the list of that module, or of a shorter path.
    async fn checked(&self, wanted: &Wanted, error: UpstreamError) -> UpstreamError {
        if !matches!(error, UpstreamError::NotFound(_)) || !self.may_hide() || self.shows_a_list(wanted).await {
            return self.remember(wanted, error);
        }
        UpstreamError::Hidden { upstream: self.config.source.to_string(), words: error.to_string() }
    }

    pub(super) fn login_is_accepted(&self) {
        self.health(|health, now| health.login_accepted = Some(now));
    }

    fn may_hide(&self) -> bool {
        let is_old = |health: &mut Health, now| health.login_accepted.is_none_or(|then| now - then > ACCEPTED_FOR);
        self.config.scope.private().is_some() && self.config.logs_in() && self.health(is_old)
    }

    async fn shows_a_list(&self, wanted: &Wanted) -> bool {
        let Way::Http(base) = &self.way else { return true };
        let Wanted::Module(request) = wanted else { return false };
        let module = request.module();
        let paths = std::iter::once(module.clone()).chain(self.config.scope.above(module));
        let lists = paths.map(|path| Wanted::Module(Request::List(path)));
        for list in lists.filter(|list| list != wanted) {
            let list = self.http.get_small(join(base, &list), list.max_len()).await;
            // A page that asks for a login is none.
            if list.is_ok_and(|list| !list.starts_with(b"<")) {
                self.login_is_accepted();
                return true;
            }
        }
        false
    }

    pub(super) async fn download(
        &self,
        wanted: &Wanted,
        sink: &DownloadSink,
        progress: &Progress,
    ) -> Result<(), UpstreamError> {
        self.remembered_absent(wanted)?;
        let base = match &self.way {
            Way::Http(base) => base,
            Way::Folder(folder) => return folder.send(wanted, sink, progress).await,
            Way::Direct(direct) => {
                self.may_dial(wanted)?;
                return direct.download(wanted, sink).await.map_err(|error| self.remember(wanted, error));
            }
        };
        let asking = self.ask().await?;
        progress.start();
        let started = self.clock.steady();
        let (url, limit) = (join(base, wanted), wanted.max_len() as u64);
        let mut download = Download { url, limit, written: 0, first_byte: started, progress, clock: self.clock };
        match download.run(&self.http, sink).await {
            Ok(()) => {
                let body = self.clock.steady() - download.first_byte;
                asking.answered(download.first_byte - started, download.written, body);
                Ok(())
            }
            Err(DownloadError::Http(error)) => Err(self.checked(wanted, asking.failed(error)).await),
            Err(DownloadError::Staging(error)) => Err(error),
        }
    }

    fn remembered_absent(&self, wanted: &Wanted) -> Result<(), UpstreamError> {
        self.absent.get(wanted).map_or(Ok(()), |words| Err(UpstreamError::NotFound(words)))
    }

    /// The HTTP client looks for itself; `go` would not.
    fn may_dial(&self, wanted: &Wanted) -> Result<(), UpstreamError> {
        let url = || format!("{}: {wanted}", self.config.source);
        if self.http.is_offline() { Err(UpstreamError::Failed(HttpError::Offline(url()))) } else { Ok(()) }
    }

    fn remember(&self, wanted: &Wanted, error: UpstreamError) -> UpstreamError {
        if let UpstreamError::NotFound(words) = &error {
            self.absent.insert(wanted.clone(), words.clone());
        }
        error
    }

    /// A place among the requests under way, if the circuit breaker is not open.
    async fn ask(&self) -> Result<Asking<'_>, UpstreamError> {
        let open = |open_for| {
            let why = self.health(|health, _| health.last_failure.clone());
            UpstreamError::CircuitOpen { upstream: self.config.source.to_string(), why, open_for }
        };
        // An open breaker is not waited for in the queue, and it may have opened in the meantime.
        let place = self.places.acquire().await.map_err(|_| open(Duration::ZERO))?;
        self.health(Health::ask).map_err(open)?;
        Ok(Asking { upstream: self, known: false, _place: place })
    }
}

/// A request under way. Its end is written down; if it is dropped before that, only that it is over.
struct Asking<'a> {
    upstream: &'a Upstream,
    known: bool,
    _place: tokio::sync::SemaphorePermit<'a>,
}

impl Asking<'_> {
    fn answered(mut self, first_byte: Duration, bytes: u64, body: Duration) {
        self.known = true;
        self.upstream.health(|health, now| health.answered(now, first_byte, bytes, body));
    }

    fn failed(mut self, error: HttpError) -> UpstreamError {
        self.known = true;
        match error {
            HttpError::Absent { .. } => {
                self.upstream.health(|health, _| health.reached());
                UpstreamError::NotFound(error.to_string())
            }
            HttpError::Status { status: status @ (401 | 403 | 451), reason, .. } => {
                // It is there, and will say the same again.
                self.upstream.health(|health, _| health.reached());
                let upstream = self.upstream.config.source.to_string();
                match status {
                    401 => UpstreamError::LoginNeeded { upstream, reason },
                    _ => UpstreamError::Refused { upstream, status, reason },
                }
            }
            error => {
                self.upstream.health(|health, now| {
                    health.last_failure = error.to_string();
                    if error.passes() {
                        health.failed(now, error.retry_after());
                    } else {
                        health.reached();
                    }
                });
                UpstreamError::Failed(error)
            }
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.upstream.health(|health, _| health.half_open());
        }
    }
}

struct Download<'a> {
    url: Url,
    limit: u64,
    written: u64,
    first_byte: Instant,
    progress: &'a Progress,
    clock: Clock,
}

enum DownloadError {
    Http(HttpError),
    Staging(UpstreamError),
}

impl Download<'_> {
    /// One request, and more for the rest if it broke off and the source can go on where it was: the same entity tag, a
    /// strong one (RFC 9110 section 14.2).
    async fn run(&mut self, http: &HttpClient, sink: &DownloadSink) -> Result<(), DownloadError> {
        let mut answer = http.ask(self.url.clone(), &Condition::None).await.map_err(DownloadError::Http)?;
        self.first_byte = self.clock.steady();
        self.progress.began();
        for _ in 0..MAX_RESUMES {
            let (before, tag) = (self.written, answer.tag());
            match (self.body(&mut answer, sink).await, tag) {
                (Ok(()), _) => return Ok(()),
                (Err(DownloadError::Http(error)), Some(tag)) if error.passes() && self.written > before => {
                    tracing::info!(url = answer.url, bytes = self.written, %error, "a download goes on after a break");
                    let condition = Condition::From(self.written, tag);
                    answer = http.ask(self.url.clone(), &condition).await.map_err(DownloadError::Http)?;
                    if answer.status() != StatusCode::PARTIAL_CONTENT {
                        // The whole again.
                        self.written = 0;
                        sink.send(Part::StartOver).await.map_err(DownloadError::Staging)?;
                    } else if answer.first_byte() != Some(self.written) {
                        return Err(DownloadError::Http(error));
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        let cause = format!("it broke off {MAX_RESUMES} times");
        Err(DownloadError::Http(HttpError::Transport { url: answer.url, cause }))
    }

    async fn body(&mut self, answer: &mut Answer, sink: &DownloadSink) -> Result<(), DownloadError> {
        while let Some(chunk) = answer.chunk().await.map_err(DownloadError::Http)? {
            let before = self.written;
            self.written += chunk.len() as u64;
            if self.written > self.limit {
                return Err(DownloadError::Http(HttpError::TooLarge { url: answer.url.clone(), limit: self.limit }));
            }
            self.progress.came(chunk.len() as u64);
            sink.send_bytes(chunk).await.map_err(DownloadError::Staging)?;
            if before / TOLD_EVERY != self.written / TOLD_EVERY {
                tracing::info!(url = answer.url, megabytes = self.written >> 20, "downloading");
            }
        }
        Ok(())
    }
}

/// `base` and the escaped path behind it.
///
/// The path is made of module paths and versions that were parsed, so it has nothing a url could trip over but `!`,
/// which is legal there.
fn join(base: &Url, wanted: &Wanted) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{wanted}", base.path().trim_end_matches('/')));
    url
}
