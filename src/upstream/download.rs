//! One download over HTTP: the body in parts to a sink, resumed if it is interrupted.

use reqwest::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::error::UpstreamError;
use super::http::{Answer, Condition, HttpClient, HttpError};
use super::race::Progress;
use super::sink::{DownloadSink, Part};
use crate::base::clock::Clock;

/// Resumes of one interrupted download, each after at least one more byte arrived.
const MAX_RESUMES: u32 = 8;
/// The log reports a download each time another 16 MiB of it has arrived.
const LOG_EVERY: u64 = 16 << 20;

pub(super) struct Download<'a> {
    url: Url,
    limit: u64,
    pub(super) written: u64,
    pub(super) first_byte: Instant,
    progress: &'a Progress,
    clock: Clock,
}

impl<'a> Download<'a> {
    pub(super) fn new(url: Url, limit: u64, progress: &'a Progress, clock: Clock) -> Self {
        Self { url, limit, written: 0, first_byte: clock.steady(), progress, clock }
    }

    /// Sends one request, and resumes an interrupted body if the source still has the same strong entity tag (RFC 9110
    /// section 14.2).
    pub(super) async fn run(&mut self, http: &HttpClient, sink: &DownloadSink) -> Result<(), UpstreamError> {
        let mut answer = http.ask(self.url.clone(), &Condition::None).await?;
        self.first_byte = self.clock.steady();
        self.progress.began();
        for _ in 0..MAX_RESUMES {
            let (before, tag) = (self.written, answer.tag());
            match (self.body(&mut answer, sink).await, tag) {
                (Ok(()), _) => return Ok(()),
                (Err(UpstreamError::Failed(error)), Some(tag)) if error.passes() && self.written > before => {
                    tracing::info!(url = answer.url, bytes = self.written, %error, "resuming an interrupted download");
                    answer = http.ask(self.url.clone(), &Condition::From(self.written, tag)).await?;
                    if answer.status() != StatusCode::PARTIAL_CONTENT {
                        // The body comes from its beginning again.
                        self.written = 0;
                        sink.send(Part::StartOver).await?;
                    } else if answer.first_byte() != Some(self.written) {
                        return Err(error.into());
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        let cause = format!("the download was interrupted {MAX_RESUMES} times");
        Err(HttpError::Transport { url: answer.url, cause }.into())
    }

    async fn body(&mut self, answer: &mut Answer, sink: &DownloadSink) -> Result<(), UpstreamError> {
        while let Some(chunk) = answer.chunk().await? {
            let before = self.written;
            self.written += chunk.len() as u64;
            if self.written > self.limit {
                return Err(HttpError::TooLarge { url: answer.url.clone(), limit: self.limit }.into());
            }
            self.progress.received(chunk.len() as u64);
            sink.send_bytes(chunk).await?;
            if before / LOG_EVERY != self.written / LOG_EVERY {
                tracing::info!(url = answer.url, megabytes = self.written >> 20, "downloading");
            }
        }
        Ok(())
    }
}
