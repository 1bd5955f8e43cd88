//! One source at run time: asked within its bounds, and its health written down.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use reqwest::StatusCode;
use tokio::sync::Semaphore;
use url::Url;

use super::chain::{Link, Source};
use super::direct::Direct;
use super::error::OriginError;
use super::folder::Folder;
use super::health::Health;
use super::http::{Answer, Conditions, HttpClient, HttpError};
use super::race::Progress;
use super::sink::{DownloadSink, Part};
use super::times::Waits;
use super::wanted::Wanted;
use gomodule::module::ModulePath;
use gomodule::proxy_request::Request;

/// Paths of one source that are remembered as absent: about 150 bytes each.
const MAX_ABSENT: u64 = 20_000;
/// A file that had wrong bytes is not asked for again for so long, if another source may have it.
const WRONG_FOR: Duration = Duration::from_hours(1);
/// So many of them are remembered: about 150 bytes each.
const MAX_WRONG: u64 = 10_000;
/// How long a login counts as accepted after something came for it: one that expires is noticed after that.
const ACCEPTED_FOR: Duration = Duration::from_mins(10);
/// Paths whose list is asked for to see whether a login is accepted.
const MAX_PREFIXES: usize = 8;
/// How often a download that broke off is taken up again, if each time more bytes had come.
const MAX_RESUMES: u32 = 8;
/// A download of this size is written down in the log each time so much more of it has come.
const TOLD_EVERY: u64 = 16 << 20;

/// A source, the client it is asked with, and how it has been doing.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) link: Link,
    http: HttpClient,
    health: Mutex<Health>,
    last_failure: Mutex<String>,
    places: Semaphore,
    absent: Cache<Wanted, String>,
    /// When it last gave out something for the login that is sent to it.
    login_accepted: Mutex<Option<Instant>>,
    wrong: Cache<Wanted, ()>,
    way: Way,
}

/// How it is asked.
#[derive(Debug)]
enum Way {
    Http(Url),
    Folder(Folder),
    Direct(Direct),
}

/// A small answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Small {
    /// The body, its entity tag, and whether another server than the source sent it.
    Body(Vec<u8>, Option<String>, bool),
    /// What the caller has is still right.
    Unchanged,
}

impl Upstream {
    /// A source with at most `at_once` requests under way.
    pub(super) fn new(link: Link, http: &HttpClient, waits: Waits, at_once: usize) -> Result<Self, HttpError> {
        let http = http.for_link(&link)?;
        let absent = Cache::builder().max_capacity(MAX_ABSENT).time_to_live(waits.absent).build();
        let wrong = Cache::builder().max_capacity(MAX_WRONG).time_to_live(WRONG_FOR).build();
        let way = match &link.source {
            Source::Http(base) => Way::Http(base.clone()),
            Source::Dir(root) => Way::Folder(Folder(root.clone())),
            Source::Direct(settings) => Way::Direct(Direct::new(settings)),
        };
        Ok(Self {
            link,
            http,
            health: Mutex::default(),
            last_failure: Mutex::default(),
            places: Semaphore::new(at_once),
            absent,
            login_accepted: Mutex::default(),
            wrong,
            way,
        })
    }

    /// Whether it may hear of a module.
    pub(super) fn serves(&self, path: &ModulePath) -> bool {
        self.link.serves.is_empty() || self.link.serves.matches(path)
    }

    /// It had wrong bytes for what is `wanted`.
    pub(super) fn distrust(&self, wanted: &Wanted) {
        self.wrong.insert(wanted.clone(), ());
        self.health(|health| health.distrust(Instant::now()));
    }

    /// Whether it had wrong bytes for what is `wanted`.
    pub(super) fn had_wrong(&self, wanted: &Wanted) -> bool {
        self.wrong.contains_key(wanted)
    }

    /// What is said of its health.
    pub(super) fn health<T>(&self, say: impl FnOnce(&mut Health) -> T) -> T {
        say(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for a small body, unless it still has the entity tag `unless`.
    pub(super) async fn small(&self, wanted: &Wanted, unless: Option<String>) -> Result<Small, OriginError> {
        self.remembered_absent(wanted)?;
        let base = match &self.way {
            Way::Http(base) => base,
            Way::Folder(folder) => return folder.small(wanted).await.map(|body| Small::Body(body, None, false)),
            Way::Direct(direct) => {
                self.may_dial(wanted)?;
                let body = direct.small(wanted).await.map_err(|error| self.remember(wanted, error))?;
                return Ok(Small::Body(body, None, false));
            }
        };
        let asking = self.ask().await?;
        let started = Instant::now();
        let conditions = Conditions { unless, from: None };
        let answered = async {
            let answer = self.http.ask(join(base, wanted), &conditions).await?;
            let first_byte = started.elapsed();
            if answer.status() == StatusCode::NOT_MODIFIED {
                return Ok((first_byte, Small::Unchanged));
            }
            let (tag, elsewhere) = (answer.any_tag(), answer.elsewhere);
            Ok((first_byte, Small::Body(answer.small(wanted.max_len()).await?, tag, elsewhere)))
        };
        match answered.await {
            Ok((first_byte, small)) => {
                asking.answered(first_byte, 0, Duration::ZERO);
                Ok(small)
            }
            Err(error) => Err(self.checked(wanted, asking.failed(error)).await),
        }
    }

    /// Whether it gives out the file that is `wanted`. No byte of it is read.
    pub(super) async fn exists(&self, wanted: &Wanted) -> Result<(), OriginError> {
        self.remembered_absent(wanted)?;
        let base = match &self.way {
            Way::Http(base) => base,
            Way::Folder(folder) => return folder.open(wanted).await.map(|_| ()),
            Way::Direct(_) => return self.small(wanted, None).await.map(|_| ()),
        };
        let asking = self.ask().await?;
        let started = Instant::now();
        match self.http.ask(join(base, wanted), &Conditions::default()).await {
            Ok(_) => {
                asking.answered(started.elapsed(), 0, Duration::ZERO);
                Ok(())
            }
            Err(error) => Err(self.checked(wanted, asking.failed(error)).await),
        }
    }

    /// What it said of what is `wanted`. That something is not there is remembered; but where it may hide things from a login that it
    /// does not accept, it must have given out something for that login: if not this, then the list of that module, or of a shorter path.
    async fn checked(&self, wanted: &Wanted, error: OriginError) -> OriginError {
        if !matches!(error, OriginError::NotFound(_)) || !self.may_hide() || self.shows_a_list(wanted).await {
            return self.remember(wanted, error);
        }
        OriginError::Hidden { origin: self.link.source.to_string(), words: error.to_string() }
    }

    /// It has given out what was asked for.
    pub(super) fn login_is_accepted(&self) {
        *self.login_accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn may_hide(&self) -> bool {
        let accepted = *self.login_accepted.lock().unwrap_or_else(PoisonError::into_inner);
        self.link.private && self.link.logs_in() && accepted.is_none_or(|accepted| accepted.elapsed() > ACCEPTED_FOR)
    }

    async fn shows_a_list(&self, wanted: &Wanted) -> bool {
        let Way::Http(base) = &self.way else { return true };
        let Wanted::Module(request) = wanted else { return false };
        let module = request.module();
        let paths = std::iter::once(module.clone()).chain(module.prefixes().map(|(above, _)| above));
        let lists =
            paths.filter(|path| self.serves(path)).take(MAX_PREFIXES).map(|path| Wanted::Module(Request::List(path)));
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

    /// Sends the file that is `wanted` to `sink`.
    pub(super) async fn download(
        &self,
        wanted: &Wanted,
        sink: &DownloadSink,
        progress: &Progress,
    ) -> Result<(), OriginError> {
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
        let started = Instant::now();
        let (url, limit) = (join(base, wanted), wanted.max_len() as u64);
        let mut download = Download { url, limit, written: 0, first_byte: None, progress };
        match download.run(&self.http, sink, started).await {
            Ok(()) => {
                let first_byte = download.first_byte.unwrap_or_default();
                asking.answered(first_byte, download.written, started.elapsed().saturating_sub(first_byte));
                Ok(())
            }
            Err(Broken::Http(error)) => Err(self.checked(wanted, asking.failed(error)).await),
            Err(Broken::Staging(error)) => Err(error),
        }
    }

    fn remembered_absent(&self, wanted: &Wanted) -> Result<(), OriginError> {
        self.absent.get(wanted).map_or(Ok(()), |words| Err(OriginError::NotFound(words)))
    }

    /// The HTTP client looks for itself; `go` would not.
    fn may_dial(&self, wanted: &Wanted) -> Result<(), OriginError> {
        let url = || format!("{}: {wanted}", self.link.source);
        if self.http.is_offline() { Err(OriginError::Failed(HttpError::Offline(url()))) } else { Ok(()) }
    }

    /// That something is absent is remembered.
    fn remember(&self, wanted: &Wanted, error: OriginError) -> OriginError {
        if let OriginError::NotFound(words) = &error {
            self.absent.insert(wanted.clone(), words.clone());
        }
        error
    }

    /// A place among the requests under way, if the source is not resting.
    async fn ask(&self) -> Result<Asking<'_>, OriginError> {
        let resting = |rest| {
            let why = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            OriginError::Resting { origin: self.link.source.to_string(), why, rest }
        };
        // A source that rests is not waited for in the queue, and may have begun to rest in the meantime.
        let place = self.places.acquire().await.map_err(|_| resting(Duration::ZERO))?;
        self.health(|health| health.ask(Instant::now())).map_err(resting)?;
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
        self.upstream.health(|health| health.answered(Instant::now(), first_byte, bytes, body));
    }

    fn failed(mut self, error: HttpError) -> OriginError {
        self.known = true;
        match error {
            HttpError::Absent { .. } => {
                self.upstream.health(Health::reached);
                OriginError::NotFound(error.to_string())
            }
            HttpError::Status { status: status @ (401 | 403 | 451), reason, .. } => {
                // It is there, and will say the same again.
                self.upstream.health(Health::reached);
                let origin = self.upstream.link.source.to_string();
                match status {
                    401 => OriginError::LoginNeeded { origin, reason },
                    _ => OriginError::Refused { origin, status, reason },
                }
            }
            error => {
                let passes = error.passes();
                *self.upstream.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
                self.upstream.health(|health| {
                    if passes {
                        health.failed(Instant::now(), error.retry_after());
                    } else {
                        health.reached();
                    }
                });
                OriginError::Failed(error)
            }
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.upstream.health(Health::let_go);
        }
    }
}

/// A file on its way.
struct Download<'a> {
    url: Url,
    limit: u64,
    written: u64,
    first_byte: Option<Duration>,
    progress: &'a Progress,
}

enum Broken {
    Http(HttpError),
    Staging(OriginError),
}

impl Download<'_> {
    /// One request, and more for the rest if it broke off and the source can go on where it was: the same entity tag, a
    /// strong one (RFC 9110 section 14.2).
    async fn run(&mut self, http: &HttpClient, sink: &DownloadSink, started: Instant) -> Result<(), Broken> {
        let mut answer = http.ask(self.url.clone(), &Conditions::default()).await.map_err(Broken::Http)?;
        self.first_byte = Some(started.elapsed());
        self.progress.began();
        for _ in 0..MAX_RESUMES {
            let (before, tag) = (self.written, answer.tag());
            match (self.body(&mut answer, sink).await, tag) {
                (Ok(()), _) => return Ok(()),
                (Err(Broken::Http(error)), Some(tag)) if error.passes() && self.written > before => {
                    tracing::info!(url = answer.url(), bytes = self.written, %error, "a download goes on after a break");
                    let conditions = Conditions { unless: None, from: Some((self.written, tag)) };
                    answer = http.ask(self.url.clone(), &conditions).await.map_err(Broken::Http)?;
                    // The whole again, or another part than was asked for: start over.
                    if answer.status() != StatusCode::PARTIAL_CONTENT || answer.first_byte() != Some(self.written) {
                        if answer.status() == StatusCode::PARTIAL_CONTENT {
                            return Err(Broken::Http(error));
                        }
                        self.written = 0;
                        sink.send(Part::StartOver).await.map_err(Broken::Staging)?;
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        Err(Broken::Http(HttpError::Transport {
            url: answer.url().to_owned(),
            cause: format!("it broke off {MAX_RESUMES} times"),
        }))
    }

    async fn body(&mut self, answer: &mut Answer, sink: &DownloadSink) -> Result<(), Broken> {
        while let Some(chunk) = answer.chunk().await.map_err(Broken::Http)? {
            let before = self.written;
            self.written += chunk.len() as u64;
            if self.written > self.limit {
                return Err(Broken::Http(HttpError::TooLarge { url: answer.url().to_owned(), limit: self.limit }));
            }
            self.progress.came(chunk.len() as u64);
            sink.send(Part::Bytes(chunk)).await.map_err(Broken::Staging)?;
            if before / TOLD_EVERY != self.written / TOLD_EVERY {
                tracing::info!(url = answer.url(), megabytes = self.written >> 20, "downloading");
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
