//! Sends events to a URL of the operator: one after the other, signed, and each a bounded number of times.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use url::Url;

use super::event::{Event, plain_json};
use super::outbox::{Next, Outbox};
use super::signature::signature;
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::upstream::{HttpClient, HttpError, Secret, Timeouts, may_log_in, post};

/// The seconds of the signature, by the clock of this machine.
const TIMESTAMP: &str = "x-sumgate-timestamp";
const SIGNATURE: &str = "x-sumgate-signature";
/// Before the second and each later attempt. A receiver that is restarted is back within five minutes.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(16),
    Duration::from_secs(64),
    Duration::from_secs(256),
];
/// Between two events: services that receive webhooks allow a few a second.
const GAP: Duration = Duration::from_millis(200);
/// Shorter secrets can be found by trying.
const MIN_SECRET: usize = 16;
/// A receiver takes the event and answers; what it does with it should come later.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    stall: Duration::from_secs(5),
    whole: Duration::from_secs(20),
};

/// Where events are sent, and the secret that signs them.
#[derive(Clone)]
pub(crate) struct Receiver {
    url: Url,
    secret: Arc<[u8]>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({self}, …)")
    }
}

impl fmt::Display for Receiver {
    /// The server alone: the path of a webhook is often a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())
    }
}

/// Why events cannot be sent there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiverError {
    #[error("expected a URL such as https://hooks.example.com/sumgate")]
    Url,
    #[error("events are not sent over plain http, except to this machine: make the URL https")]
    Plain,
    #[error("expected a URL without a login: the signature proves who sends")]
    Login,
    #[error("expected a secret of at least {MIN_SECRET} characters in {0}: `openssl rand -hex 32` prints one")]
    Short(Secret),
    #[error(transparent)]
    Secret(#[from] crate::upstream::LoginError),
}

impl Receiver {
    /// Checks the URL, and reads the secret. Never shows either.
    pub(crate) fn new(url: &str, secret: &Secret) -> Result<Self, ReceiverError> {
        let url = Url::parse(url).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or(ReceiverError::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ReceiverError::Login);
        }
        if !may_log_in(&url) {
            return Err(ReceiverError::Plain);
        }
        let text = secret.read()?;
        if text.len() < MIN_SECRET {
            return Err(ReceiverError::Short(secret.clone()));
        }
        Ok(Self { url, secret: text.into_bytes().into() })
    }
}

/// Takes events and never waits. Cheap to clone; clones share what waits to be sent, also while the settings are read again. What was
/// not sent at the end of the last one is in the log only.
#[derive(Clone)]
pub(crate) struct Notifier {
    outbox: Arc<Outbox>,
    sending: Arc<Mutex<Option<Task>>>,
}

struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Notifier {
    /// Sends nothing yet. `data` is the data folder, whose place no receiver learns.
    pub(crate) fn new(data: &Path, clock: Clock) -> Self {
        Self { outbox: Arc::new(Outbox::new(data, clock)), sending: Arc::default() }
    }

    /// Sends to this receiver from now on: first what it sent to another one in vain. Must be called in the runtime.
    pub(crate) fn send_to(&self, receiver: Receiver, http: &HttpClient, clock: Clock) -> Result<(), HttpError> {
        let http = http.with_timeouts(TIMEOUTS)?;
        let mut sending = lock(&self.sending);
        // Two tasks would send the same.
        *sending = None;
        let task = tokio::spawn(send_all(Arc::clone(&self.outbox), receiver, http, clock));
        *sending = Some(Task(task.abort_handle()));
        Ok(())
    }

    /// Sends nothing from now on.
    pub(crate) fn stop(&self) {
        *lock(&self.sending) = None;
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.outbox.add(event);
    }
}

/// The body of a message.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(flatten)]
    event: &'a Event,
    /// Events of this kind since the last message that no message was sent for.
    left_out: u64,
}

async fn send_all(outbox: Arc<Outbox>, receiver: Receiver, http: HttpClient, clock: Clock) {
    loop {
        let next = outbox.next().await;
        let Next { event, left_out, .. } = &next;
        let body = serde_json::to_string(&Message { event, left_out: *left_out }).unwrap_or_default();
        let body = Bytes::from(plain_json(&body));
        match send(&receiver, &http, clock, &body, outbox.more_urgent(&next)).await {
            Ok(Sent::Accepted) => outbox.done(&next),
            Ok(Sent::Later) => {}
            Err(error) => {
                outbox.done(&next);
                // The URL may be a secret, so only the kind of failure is told.
                let (why, what) = (error.why(), event.facts.outcome.name());
                tracing::warn!(
                    "the receiver of events, {receiver}, did not take an event ({what}): {why}; it is in the log"
                );
            }
        }
        sleep(GAP).await;
    }
}
enum Sent {
    Accepted,
    /// Something more urgent came during a pause. The attempts begin anew after it.
    Later,
}

/// Sends one message, again after a failure that may pass, unless something `more_urgent` comes. The body is the same each time, and
/// the time is not.
async fn send(
    receiver: &Receiver,
    http: &HttpClient,
    clock: Clock,
    body: &Bytes,
    more_urgent: impl Future<Output = ()>,
) -> Result<Sent, HttpError> {
    let (mut pauses, mut more_urgent) = (PAUSES.iter(), std::pin::pin!(more_urgent));
    loop {
        let seconds = clock.now().wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let headers = [(TIMESTAMP, seconds.to_string()), (SIGNATURE, signature(&receiver.secret, seconds, body))];
        let Err(error) = post(http, &receiver.url, &headers, body.clone()).await else { return Ok(Sent::Accepted) };
        let Some(pause) = pauses.next().filter(|_| error.passes()) else { return Err(error) };
        if timeout(*pause, &mut more_urgent).await.is_ok() {
            return Ok(Sent::Later);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;

    #[test]
    fn the_url_is_https_or_of_this_machine_and_no_message_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            Secret::File(folder.path().join(name))
        };
        let secret = write("secret", "0123456789abcdef\n");
        let receiver = |url: &str| Receiver::new(url, &secret);
        let shown = receiver("https://hooks.example.com/T0/token?key=token").unwrap();
        assert_eq!(format!("{shown} {shown:?}").matches("token").count(), 0);
        assert_eq!(shown.to_string(), "https://hooks.example.com");
        assert!(receiver("http://127.0.0.1:9/x").is_ok());
        for (url, found) in [
            ("http://hooks.example.com/token", "plain http"),
            ("https://me:token@hooks.example.com", "without a login"),
            ("hooks.example.com/token", "expected a URL"),
            ("ftp://127.0.0.1/token", "expected a URL"),
            ("", "expected a URL"),
        ] {
            let words = receiver(url).unwrap_err().to_string();
            assert!(words.contains(found) && !words.contains("token"), "{url}: {words}");
        }
        let short = Receiver::new("https://a.example", &write("short", "token")).unwrap_err().to_string();
        assert!(short.contains("at least 16") && !short.contains("token"), "{short}");
        assert!(Receiver::new("https://a.example", &Secret::File(folder.path().join("none"))).is_err());
    }
}
