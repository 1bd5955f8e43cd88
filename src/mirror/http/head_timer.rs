//! How long a connection may wait for the head of a request.
//!
//! hyper starts its timer when the previous answer ends, so it cannot tell an idle connection, which a proxy keeps for its next
//! request, from a head that comes slowly. This timer sits in the socket: it sees each read, and the answers tell it when they
//! begin and end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::base::clock::Clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadTimeouts {
    /// For the whole first head of a connection.
    pub(super) first: Duration,
    /// From the end of an answer to the first byte of the next head.
    pub(super) idle: Duration,
    /// From that byte to the end of the head.
    pub(super) head: Duration,
}

/// The answers of a connection: how often one began or ended. Odd while one is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<AtomicU64>);

/// One answer, from the end of its request's head until it is dropped.
#[derive(Debug)]
pub(super) struct Answering(Answers);

pub(super) struct HeadTimer {
    timeouts: HeadTimeouts,
    answers: Answers,
    /// The answers when the present wait began.
    seen: u64,
    wait: Wait,
    /// Whether `sleep` runs for this wait. It is used again for the next one, which costs less than another one.
    is_running: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    clock: Clock,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    First,
    Idle,
    Head,
}

impl Answers {
    pub(super) fn begin(&self) -> Answering {
        self.0.fetch_add(1, Ordering::AcqRel);
        Answering(self.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl HeadTimer {
    pub(super) fn new(timeouts: HeadTimeouts, answers: Answers, clock: Clock) -> Self {
        Self { timeouts, answers, seen: 0, wait: Wait::First, is_running: false, sleep: None, clock }
    }

    /// A read, or an error once the wait for it was too long. While a request is answered there is no limit. Bytes that come
    /// before an answer ends belong to a later request, whose wait begins when the answer ends.
    pub(super) fn bound(&mut self, read: Poll<io::Result<()>>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_answering = self.update();
        if read.is_ready() {
            if self.wait == Wait::Idle && !is_answering {
                (self.wait, self.is_running) = (Wait::Head, false);
            }
            return read;
        }
        if is_answering {
            return Poll::Pending;
        }
        let HeadTimeouts { first, idle, head } = self.timeouts;
        let timeout = match self.wait {
            Wait::First => first,
            Wait::Idle => idle,
            Wait::Head => head,
        };
        ready!(self.poll_sleep(timeout, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// The last part of an answer is written after its end: the connection is idle from then on. hyper does not read again until
    /// it is woken, so the timer starts here.
    pub(super) fn wrote<T>(&mut self, written: &Poll<io::Result<T>>, context: &mut Context<'_>) {
        if self.update() || self.wait != Wait::Idle {
            return;
        }
        self.is_running = false;
        if written.is_ready() {
            // Only so that it wakes the connection: `bound` looks whether it is over.
            let _ = self.poll_sleep(self.timeouts.idle, context);
        }
    }

    /// Whether the wait is over; starts it first if it does not run.
    fn poll_sleep(&mut self, timeout: Duration, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_running {
            let end = self.clock.steady() + timeout;
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(end),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(end))),
            }
            self.is_running = true;
        }
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(context))
    }

    /// Notices that an answer began or ended. Returns whether one is under way.
    fn update(&mut self) -> bool {
        let now = self.answers.0.load(Ordering::Acquire);
        if now != self.seen {
            (self.seen, self.wait, self.is_running) = (now, Wait::Idle, false);
        }
        now % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::convert::Infallible;

    use hyper::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::mirror::http::body::Body;
    use crate::mirror::http::connection_limits::ClientTimeouts;
    use crate::mirror::http::socket::{Outgoing, Socket};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How long each answer takes: longer than all other waits.
    const ANSWER: Duration = seconds(200);
    const TIMEOUTS: ClientTimeouts = ClientTimeouts {
        heads: HeadTimeouts { first: seconds(10), idle: seconds(75), head: seconds(30) },
        stall: seconds(60),
    };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// A connection to a server that answers each request with `ok`.
    async fn connection() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        // Nothing waits for an acknowledgement, which takes real time.
        client.set_nodelay(true).unwrap();
        let (stream, answers) = (Arc::new(listener.accept().await.unwrap().0), Answers::default());
        let socket = TokioIo::new(Socket::of(Arc::clone(&stream), TIMEOUTS, answers.clone(), Clock::System));
        let service = service_fn(move |_: hyper::Request<hyper::body::Incoming>| {
            let (stream, answering) = (Arc::clone(&stream), answers.begin());
            async move {
                sleep(ANSWER).await;
                let body = Outgoing::to(stream, TIMEOUTS.stall, Body::Memory("ok".into()), (None, None), answering);
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        tokio::spawn(http1::Builder::new().header_read_timeout(None).serve_connection(socket, service));
        // From here on the clock jumps to the next timer whenever nothing else happens.
        tokio::time::pause();
        client
    }

    /// Sends this, and lets the server read it before the clock jumps.
    async fn send(client: &mut TcpStream, bytes: &[u8]) {
        client.write_all(bytes).await.unwrap();
        std::thread::sleep(Duration::from_millis(5));
        sleep(Duration::from_millis(1)).await;
    }

    /// Reads an answer to its end.
    async fn answered(client: &mut TcpStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            assert_ne!(timeout(2 * ANSWER, client.read_buf(&mut answer)).await.unwrap().unwrap(), 0, "it was closed");
        }
    }

    /// After how many seconds the server closes the connection.
    async fn closed(client: &mut TcpStream) -> f64 {
        let start = Instant::now();
        let read = timeout(seconds(1000), client.read(&mut [0; 1])).await.expect("the server closes the connection");
        assert_eq!(read.unwrap_or_default(), 0);
        start.elapsed().as_secs_f64().round()
    }

    #[tokio::test]
    async fn the_first_head_must_come_within_ten_seconds() {
        let mut client = connection().await;
        send(&mut client, &REQUEST[..5]).await;
        sleep(seconds(6)).await;
        send(&mut client, &REQUEST[5..9]).await;
        assert_eq!(closed(&mut client).await.to_string(), "4");
    }

    #[tokio::test]
    async fn an_idle_connection_stays_open_for_75_seconds() {
        let mut client = connection().await;
        for _ in 0..3 {
            send(&mut client, REQUEST).await;
            answered(&mut client).await;
            sleep(seconds(74)).await;
        }
        send(&mut client, REQUEST).await;
        answered(&mut client).await;
        assert_eq!(closed(&mut client).await.to_string(), "75");
    }

    #[tokio::test]
    async fn a_later_head_must_end_30_seconds_after_its_first_byte() {
        let mut client = connection().await;
        send(&mut client, REQUEST).await;
        answered(&mut client).await;
        sleep(seconds(70)).await;
        send(&mut client, &REQUEST[..5]).await;
        sleep(seconds(29)).await;
        send(&mut client, &REQUEST[5..]).await;
        answered(&mut client).await;
        sleep(seconds(70)).await;
        send(&mut client, &REQUEST[..5]).await;
        for at in 5..9 {
            sleep(seconds(5)).await;
            send(&mut client, &REQUEST[at..=at]).await;
        }
        assert_eq!(closed(&mut client).await.to_string(), "10");
    }

    #[tokio::test]
    async fn two_requests_in_one_piece_are_both_answered() {
        let mut client = connection().await;
        send(&mut client, &[REQUEST, REQUEST].concat()).await;
        answered(&mut client).await;
        answered(&mut client).await;
        assert_eq!(closed(&mut client).await.to_string(), "75");
    }
}
