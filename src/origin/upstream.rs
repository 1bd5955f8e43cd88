//! One source at run time: asked within its bounds, and its health written down.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use reqwest::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use url::Url;

use super::chain::{Link, Source};
use super::direct::Direct;
use super::error::OriginError;
use super::fetch::Waits;
use super::health::Health;
use super::http::{Answer, Conditions, HttpClient, HttpError};
use super::landing::Landing;
use super::race::Progress;
use crate::module::ModulePath;

/// Paths of one source that are remembered as absent: about 150 bytes each.
const MAX_ABSENT: u64 = 20_000;
/// A file that had wrong bytes is not asked for again for so long, if another source may have it.
const WRONG_FOR: Duration = Duration::from_hours(1);
/// So many of them are remembered: about 150 bytes each.
const MAX_WRONG: u64 = 10_000;
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
    absent: Cache<String, String>,
    wrong: Cache<String, ()>,
    /// Of a source that is version control.
    direct: Option<Direct>,
}

/// A small answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Small {
    /// The body, and its entity tag.
    Body(Vec<u8>, Option<String>),
    /// What the caller has is still right.
    Unchanged,
}

impl Upstream {
    /// A source with at most `at_once` requests under way.
    pub(super) fn new(link: Link, http: &HttpClient, waits: Waits, at_once: usize) -> Result<Self, HttpError> {
        let http = http.for_link(&link)?;
        let absent = Cache::builder().max_capacity(MAX_ABSENT).time_to_live(waits.absent).build();
        let wrong = Cache::builder().max_capacity(MAX_WRONG).time_to_live(WRONG_FOR).build();
        let direct = if let Source::Direct(settings) = &link.source { Some(Direct::new(settings)) } else { None };
        Ok(Self {
            link,
            http,
            health: Mutex::default(),
            last_failure: Mutex::default(),
            places: Semaphore::new(at_once),
            absent,
            wrong,
            direct,
        })
    }

    /// Whether it may hear of a module.
    pub(super) fn serves(&self, path: &ModulePath) -> bool {
        self.link.serves.is_empty() || self.link.serves.matches(path)
    }

    /// It had wrong bytes at `path`.
    pub(super) fn distrust(&self, path: &str) {
        self.wrong.insert(path.to_owned(), ());
        self.health(|health| health.distrust(Instant::now()));
    }

    /// Whether it had wrong bytes at `path`.
    pub(super) fn had_wrong(&self, path: &str) -> bool {
        self.wrong.contains_key(path)
    }

    /// What is said of its health.
    pub(super) fn health<T>(&self, say: impl FnOnce(&mut Health) -> T) -> T {
        say(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for a small body at `path`, unless it still has the entity tag `unless`.
    pub(super) async fn small(&self, path: &str, limit: usize, unless: Option<String>) -> Result<Small, OriginError> {
        self.remembered_absent(path)?;
        let base = match (&self.link.source, &self.direct) {
            (Source::Http(base), _) => base,
            (_, Some(direct)) => {
                self.may_dial(path)?;
                let body = direct.small(path, limit).await.map_err(|error| self.remember(path, error))?;
                return Ok(Small::Body(body, None));
            }
            _ => return self.small_file(path, limit).await.map(|body| Small::Body(body, None)),
        };
        let asking = self.ask(path).await?;
        let started = Instant::now();
        let conditions = Conditions { unless, from: None };
        let answered = async {
            let answer = self.http.ask(join(base, path), &conditions).await?;
            let first_byte = started.elapsed();
            if answer.status() == StatusCode::NOT_MODIFIED {
                return Ok((first_byte, Small::Unchanged));
            }
            let tag = answer.any_tag();
            Ok((first_byte, Small::Body(answer.small(limit).await?, tag)))
        };
        match answered.await {
            Ok((first_byte, small)) => {
                asking.answered(first_byte, 0, Duration::ZERO);
                Ok(small)
            }
            Err(error) => Err(asking.failed(error)),
        }
    }

    /// Writes the file at `path` to `landing`, at most `limit` bytes. Returns the length.
    pub(super) async fn download(
        &self,
        path: &str,
        landing: &mut Landing,
        limit: u64,
        progress: &Progress,
    ) -> Result<u64, OriginError> {
        self.remembered_absent(path)?;
        let base = match (&self.link.source, &self.direct) {
            (Source::Http(base), _) => base,
            (_, Some(direct)) => {
                self.may_dial(path)?;
                return direct.download(path, landing, limit).await.map_err(|error| self.remember(path, error));
            }
            _ => return self.copy_file(path, &mut landing.file, limit, progress).await,
        };
        let asking = self.ask(path).await?;
        progress.start();
        let started = Instant::now();
        let mut download = Download { url: join(base, path), limit, written: 0, first_byte: None, progress };
        match download.run(&self.http, landing, started).await {
            Ok(()) => {
                let first_byte = download.first_byte.unwrap_or_default();
                asking.answered(first_byte, download.written, started.elapsed().saturating_sub(first_byte));
                Ok(download.written)
            }
            Err(Broken::Http(error)) => Err(asking.failed(error)),
            Err(Broken::Staging(error)) => Err(error),
        }
    }

    fn remembered_absent(&self, path: &str) -> Result<(), OriginError> {
        self.absent.get(path).map_or(Ok(()), |words| Err(OriginError::NotFound(words)))
    }

    /// The HTTP client looks for itself; `go` would not.
    fn may_dial(&self, path: &str) -> Result<(), OriginError> {
        let url = || format!("{}: {path}", self.link.source);
        if self.http.is_offline() { Err(OriginError::Failed(HttpError::Offline { url: url() })) } else { Ok(()) }
    }

    /// That something is absent is remembered.
    fn remember(&self, path: &str, error: OriginError) -> OriginError {
        if let OriginError::NotFound(words) = &error {
            self.absent.insert(path.to_owned(), words.clone());
        }
        error
    }

    /// A place among the requests under way, if the source is not resting.
    async fn ask<'a>(&'a self, path: &'a str) -> Result<Asking<'a>, OriginError> {
        let resting = |rest| {
            let why = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            OriginError::Resting { origin: self.link.source.to_string(), why, rest }
        };
        // A source that rests is not waited for in the queue, and may have begun to rest in the meantime.
        let place = self.places.acquire().await.map_err(|_| resting(Duration::ZERO))?;
        self.health(|health| health.ask(Instant::now())).map_err(resting)?;
        Ok(Asking { upstream: self, path, known: false, _place: place })
    }

    async fn small_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, OriginError> {
        let file = self.open(path).await?;
        let mut body = Vec::new();
        // One byte more than allowed tells a file that is too large from one that just fits.
        let read = file.take(limit as u64 + 1).read_to_end(&mut body).await;
        let read = read.map_err(|cause| OriginError::Io { what: format!("cannot read {path}"), cause })?;
        if read > limit {
            return Err(self.too_large(path, limit as u64));
        }
        Ok(body)
    }

    async fn copy_file(
        &self,
        path: &str,
        file: &mut tokio::fs::File,
        limit: u64,
        progress: &Progress,
    ) -> Result<u64, OriginError> {
        let from = self.open(path).await?;
        progress.began();
        let copied = tokio::io::copy(&mut from.take(limit + 1), file).await;
        let copied = copied.map_err(|cause| OriginError::Io { what: format!("cannot copy {path}"), cause })?;
        if copied > limit {
            return Err(self.too_large(path, limit));
        }
        Ok(copied)
    }

    async fn open(&self, path: &str) -> Result<tokio::fs::File, OriginError> {
        let Source::Dir(dir) = &self.link.source else {
            let why = format!("{path} was looked for on a disk");
            return Err(OriginError::Nonsense { origin: self.link.source.to_string(), why });
        };
        let path = dir.join(path);
        let cause = match tokio::fs::File::open(&path).await {
            Ok(file) => return Ok(file),
            Err(cause) => cause,
        };
        if !matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            return Err(OriginError::Io { what: format!("cannot open {}", path.display()), cause });
        }
        let root = dir.clone();
        let trouble = tokio::task::spawn_blocking(move || trouble_of_root(&root)).await;
        match trouble.unwrap_or_else(|_| Some("a task of ours was broken off".to_owned())) {
            Some(why) => Err(OriginError::EmptyRoot { origin: self.link.source.to_string(), why }),
            None => Err(OriginError::NotFound(format!("{}: not found", path.display()))),
        }
    }

    fn too_large(&self, path: &str, limit: u64) -> OriginError {
        OriginError::Failed(HttpError::TooLarge { url: format!("{}/{path}", self.link.source), limit })
    }
}

/// A request under way. Its end is written down; if it is dropped before that, only that it is over.
struct Asking<'a> {
    upstream: &'a Upstream,
    path: &'a str,
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
                self.upstream.remember(self.path, OriginError::NotFound(error.to_string()))
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
    async fn run(&mut self, http: &HttpClient, landing: &mut Landing, started: Instant) -> Result<(), Broken> {
        let mut answer = http.ask(self.url.clone(), &Conditions::default()).await.map_err(Broken::Http)?;
        self.first_byte = Some(started.elapsed());
        self.progress.began();
        for _ in 0..MAX_RESUMES {
            let (before, tag) = (self.written, answer.tag());
            match (self.body(&mut answer, landing).await, tag) {
                (Ok(()), _) => return landing.flush().await.map_err(Broken::Staging),
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
                        landing.start_over().await.map_err(Broken::Staging)?;
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

    async fn body(&mut self, answer: &mut Answer, landing: &mut Landing) -> Result<(), Broken> {
        while let Some(chunk) = answer.chunk().await.map_err(Broken::Http)? {
            let before = self.written;
            self.written += chunk.len() as u64;
            if self.written > self.limit {
                return Err(Broken::Http(HttpError::TooLarge { url: answer.url().to_owned(), limit: self.limit }));
            }
            self.progress.came(chunk.len() as u64);
            landing.take(chunk).await.map_err(Broken::Staging)?;
            if before / TOLD_EVERY != self.written / TOLD_EVERY {
                tracing::info!(url = answer.url(), megabytes = self.written >> 20, "downloading");
            }
        }
        Ok(())
    }
}

/// What is wrong with the folder of a `file://` source, if it is missing or has nothing in it: then a file that is not
/// there tells nothing, for the file system may not be mounted. Blocks.
pub fn trouble_of_root(root: &Path) -> Option<String> {
    match std::fs::read_dir(root).and_then(|mut entries| entries.next().transpose()) {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("there is nothing in the folder {}: is a file system not mounted?", root.display())),
        Err(error) => Some(format!("cannot read the folder {}: {error}", root.display())),
    }
}

/// `base` and the escaped path behind it.
///
/// The path is made of module paths and versions that were parsed, so it has nothing a url could trip over but `!`,
/// which is legal there.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}
