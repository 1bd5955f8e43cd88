//! Asking the chain: small advisory answers in `go`'s order, and files into a staging file.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::chain::{Chain, Link, Source};
use super::http::{HttpClient, HttpError};
use crate::fault::Fault;

/// Something that no proof covers, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory<T> {
    /// What was said.
    pub value: T,
    /// The source that said it, without credentials.
    pub source: String,
}

/// Why the chain gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Every source that may be asked says that there is no such thing.
    #[error("no upstream has it: {0}")]
    Absent(String),
    /// A source failed, and the chain does not lead on from a failure.
    #[error("the upstream failed: {0}")]
    Failed(#[source] HttpError),
    /// A source answered something that no Go module proxy would.
    #[error("the upstream {origin} does not answer like a Go module proxy: {why}")]
    Nonsense {
        /// Who answered.
        origin: String,
        /// What is wrong with it.
        why: String,
    },
    /// A `file://` source could not be read, or the staging file not be written.
    #[error("{what}")]
    Io {
        /// Which file.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl OriginError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Absent(_) => Fault::Absent,
            Self::Failed(HttpError::Timeout { .. }) => Fault::Timeout,
            Self::Failed(_) | Self::Nonsense { .. } => Fault::Upstream,
            Self::Io { .. } => Fault::Host,
        }
    }
}

/// The chain and the client it is asked with.
#[derive(Clone, Debug)]
pub struct Origin {
    chain: Chain,
    http: HttpClient,
}

impl Origin {
    /// An origin that asks `chain` through `http`.
    pub fn new(chain: Chain, http: HttpClient) -> Self {
        Self { chain, http }
    }

    /// How many sources there are; [`Origin::download`] takes an index below it.
    pub fn sources(&self) -> usize {
        self.chain.links().len()
    }

    /// Whether the failure `error` of source `nth` leads on to the next one, as `go` would have it.
    pub fn leads_on(&self, nth: usize, error: &OriginError) -> bool {
        error.fault() == Fault::Absent || self.chain.links().get(nth).is_some_and(|link| link.on_any_failure)
    }

    /// Asks the sources in order for a small answer and takes the first that `check` accepts.
    ///
    /// `path` is the escaped GOPROXY path, without a leading `/`. `check` says what is wrong with an answer that no
    /// proxy would give; that counts as a failure of its source.
    pub async fn small<T>(
        &self,
        path: &str,
        limit: usize,
        check: impl Fn(Vec<u8>) -> Result<T, String>,
    ) -> Result<Advisory<T>, OriginError> {
        let mut last = OriginError::Absent(path.to_owned());
        for (nth, link) in self.chain.links().iter().enumerate() {
            let answer = self.ask(link, path, limit).await.and_then(|body| {
                check(body).map_err(|why| OriginError::Nonsense { origin: link.source.to_string(), why })
            });
            match answer {
                Ok(value) => {
                    return Ok(Advisory { value, source: link.source.to_string() });
                }
                Err(error) => {
                    if !self.leads_on(nth, &error) {
                        return Err(error);
                    }
                    // A failure says more than a 404 of another source, and must not turn into one.
                    if error.fault() != Fault::Absent || last.fault() == Fault::Absent {
                        last = error;
                    }
                }
            }
        }
        Err(last)
    }

    async fn ask(&self, link: &Link, path: &str, limit: usize) -> Result<Vec<u8>, OriginError> {
        match &link.source {
            Source::Http(base) => self.http.get_small(join(base, path), limit).await.map_err(from_http),
            Source::Dir(dir) => {
                let file = open(&dir.join(path)).await?;
                let mut body = Vec::new();
                // One byte more than allowed tells a file that is too large from one that just fits.
                let read = file.take(limit as u64 + 1).read_to_end(&mut body).await;
                let read = read.map_err(|cause| OriginError::Io { what: format!("cannot read {path}"), cause })?;
                if read > limit {
                    let url = link.source.to_string();
                    return Err(OriginError::Failed(HttpError::TooLarge { url, limit: limit as u64 }));
                }
                Ok(body)
            }
        }
    }

    /// Writes the file at `path` of source `nth` to `file`, at most `limit` bytes. Returns the length and the source.
    pub async fn download(
        &self,
        nth: usize,
        path: &str,
        file: &mut tokio::fs::File,
        limit: u64,
    ) -> Result<Advisory<u64>, OriginError> {
        let link = &self.chain.links()[nth];
        let source = link.source.to_string();
        let written = match &link.source {
            Source::Http(base) => self.download_http(join(base, path), file, limit).await?,
            Source::Dir(dir) => {
                let from = open(&dir.join(path)).await?;
                let copied = tokio::io::copy(&mut from.take(limit + 1), file).await;
                copied.map_err(|cause| OriginError::Io { what: format!("cannot copy {path}"), cause })?
            }
        };
        if written > limit {
            return Err(OriginError::Failed(HttpError::TooLarge { url: format!("{source}/{path}"), limit }));
        }
        file.flush().await.map_err(staging)?;
        Ok(Advisory { value: written, source })
    }

    async fn download_http(&self, url: Url, file: &mut tokio::fs::File, limit: u64) -> Result<u64, OriginError> {
        let mut answer = self.http.get(url).await.map_err(from_http)?;
        let mut written = 0_u64;
        while let Some(chunk) = answer.chunk().await.map_err(OriginError::Failed)? {
            written += chunk.len() as u64;
            if written > limit {
                break;
            }
            file.write_all(&chunk).await.map_err(staging)?;
        }
        Ok(written)
    }
}

fn staging(cause: io::Error) -> OriginError {
    OriginError::Io { what: "cannot write the staging file".to_owned(), cause }
}

fn from_http(error: HttpError) -> OriginError {
    match error {
        HttpError::Absent { .. } => OriginError::Absent(error.to_string()),
        other => OriginError::Failed(other),
    }
}

async fn open(path: &Path) -> Result<tokio::fs::File, OriginError> {
    tokio::fs::File::open(path).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            OriginError::Absent(format!("{}: not found", path.display()))
        }
        _ => OriginError::Io { what: format!("cannot open {}", path.display()), cause },
    })
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
