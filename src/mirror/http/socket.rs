//! The connection of a client, and the answer that is sent over it.
//!
//! A client that reads slowly, or never, must cost little: the system buffers at most [`UNSENT`] bytes for it, the next piece of a
//! file is read only once there is room for it, and a client that reads nothing for too long is disconnected.

use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::body::Body;
use super::connection_limits::{ClientTimeouts, Slot};
use super::exchange::Exchange;
use super::head_timer::{Answering, Answers, HeadTimer};
use crate::base::clock::Clock;

/// Bytes that the system buffers for one client. Without a bound it buffers 2.6 MB, and a thousand clients that never read use
/// up what the system has for all connections (a tenth of the memory).
const UNSENT: u32 = 256 << 10;
/// The send buffer of a client on this machine, such as a server in front of the mirror; the system doubles it for its own data.
/// Its bytes are not on the way for long, so few need to wait, instead of the 2.6 MB which the system would take. To a far client the
/// system decides, by the time that its bytes need.
const NEAR: usize = 128 << 10;
/// For one call. `go` sends heads of 200 bytes.
const RECEIVE: usize = 4 << 10;

pub(super) struct Socket {
    stream: Arc<TcpStream>,
    stall: Stall,
    heads: HeadTimer,
}

/// The body of an answer, with the socket that it is sent to.
pub(super) struct Outgoing {
    body: Body,
    stream: Arc<TcpStream>,
    stall: Stall,
    /// Freed when the answer was sent.
    _slot: Option<Slot>,
    exchange: Option<Exchange>,
    _answering: Answering,
}

/// A wait for room in the socket, with its timeout.
struct Stall {
    timeout: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn bound<T>(&mut self, ready: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if ready.is_ready() {
            self.running = None;
            return ready;
        }
        let sleep = self.running.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.timeout)));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Receives what is there, or waits for some.
fn poll_receive(stream: &TcpStream, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(context))?;
        let space = buffer.initialize_unfilled_to(buffer.remaining().min(RECEIVE));
        let mut received = None;
        let tried = stream.try_io(Interest::READABLE, || {
            let length = (&mut &*SockRef::from(stream)).read(space)?;
            received = Some(length);
            // After less than there was space for, nothing more is there. The runtime learns this without another call.
            if (1..space.len()).contains(&length) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if let Some(length) = received {
            buffer.advance(length);
            return Poll::Ready(Ok(()));
        }
        if let Err(error) = tried
            && error.kind() != io::ErrorKind::WouldBlock
        {
            return Poll::Ready(Err(error));
        }
    }
}

/// Sends what there is room for, or waits for some.
fn poll_send<T>(
    stream: &TcpStream,
    context: &mut Context<'_>,
    send: impl Fn() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Whether the system has room now. What the runtime knows may be older than the last write.
fn has_room(stream: &TcpStream) -> io::Result<()> {
    let mut socket = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut socket, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl Socket {
    pub(super) fn of(stream: Arc<TcpStream>, timeouts: ClientTimeouts, answers: Answers, clock: Clock) -> Self {
        // If the system cannot do it, the other bounds hold.
        let _ = SockRef::from(&*stream).set_tcp_notsent_lowat(UNSENT);
        if stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()) {
            let _ = SockRef::from(&*stream).set_send_buffer_size(NEAR);
        }
        let stall = Stall { timeout: timeouts.stall, running: None };
        Self { stream, stall, heads: HeadTimer::new(timeouts.heads, answers, clock) }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, heads, .. } = self.get_mut();
        let read = poll_receive(stream, context, buffer);
        heads.bound(read, context)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, stall, heads } = self.get_mut();
        let sent = poll_send(stream, context, || stream.try_write(bytes));
        heads.wrote(&sent, context);
        stall.bound(sent, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, stall, heads } = self.get_mut();
        let sent = poll_send(stream, context, || stream.try_write_vectored(parts));
        heads.wrote(&sent, context);
        stall.bound(sent, context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write))
    }
}

impl Outgoing {
    pub(super) fn to(
        stream: Arc<TcpStream>,
        stall: Duration,
        body: Body,
        (slot, exchange): (Option<Slot>, Option<Exchange>),
        answering: Answering,
    ) -> Self {
        let stall = Stall { timeout: stall, running: None };
        Self { body, stream, stall, _slot: slot, exchange, _answering: answering }
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Body::Memory(bytes) = &mut this.body {
            let bytes = std::mem::take(bytes);
            this.exchange.iter_mut().for_each(|exchange| exchange.sends(bytes.len()));
            return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
        }
        if !matches!(&this.body, Body::File(file) if file.is_reading()) {
            let stream = &this.stream;
            let room = poll_send(stream, context, || stream.try_io(Interest::WRITABLE, || has_room(stream)));
            if let Err(error) = ready!(this.stall.bound(room, context)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let piece = match &mut this.body {
            Body::File(file) => file.poll_piece(context),
            Body::Stream(stream) => stream.poll_piece(context),
            Body::Memory(_) => Poll::Ready(None),
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(exchange)) = (&piece, &mut this.exchange) {
            exchange.sends(frame.data_ref().map_or(0, Bytes::len));
        }
        piece
    }

    fn is_end_stream(&self) -> bool {
        self.body.len() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.len().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::io::Write;
    use std::task::Waker;

    use http_body_util::BodyExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::{advance, timeout};

    use super::*;
    use crate::mirror::http::head_timer::HeadTimeouts;

    const STALL: Duration = Duration::from_secs(60);
    const TIMEOUTS: ClientTimeouts =
        ClientTimeouts { heads: HeadTimeouts { first: STALL, idle: STALL, head: STALL }, stall: STALL };

    async fn pair() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Arc::new(listener.accept().await.unwrap().0))
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (_client, stream) = pair().await;
        let mut socket = Socket::of(Arc::clone(&stream), TIMEOUTS, Answers::default(), Clock::System);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        let chunk = vec![0; 1 << 20];
        // From here on the clock jumps to the next timer whenever nothing else happens.
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let writes = async { while socket.write_all(&chunk).await.is_ok() {} };
        timeout(2 * STALL, writes).await.expect("the connection is given up");
        assert_eq!(socket.write_all(&chunk).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut body = Outgoing::to(
            stream,
            STALL,
            Body::file(Arc::new(file), 0, 1 << 20),
            (None, None),
            Answers::default().begin(),
        );
        let frame = timeout(2 * STALL, body.frame()).await.expect("the answer is given up");
        assert_eq!(frame.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= 2 * STALL);
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_makes_no_piece_and_is_given_up() {
        let (_client, stream) = pair().await;
        stream.writable().await.unwrap();
        for _ in 0..5 {
            while SockRef::from(&*stream).send(&vec![0; 1 << 16]).is_ok() {}
            std::thread::sleep(Duration::from_millis(20));
        }
        tokio::time::pause();
        let pieces = futures_util::stream::poll_fn(|_| panic!("a piece was made for a client that does not read"));
        let body = Body::stream(Box::pin(pieces));
        let mut body = Outgoing::to(stream, STALL, body, (None, None), Answers::default().begin());
        let error = timeout(2 * STALL, body.frame()).await.expect("the answer is given up").unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn no_piece_is_read_before_the_system_has_room() {
        let (_client, stream) = pair().await;
        stream.writable().await.unwrap();
        // The runtime does not see these writes, and believes that the socket is ready. Meanwhile the system moves some bytes to
        // the client.
        for _ in 0..5 {
            while SockRef::from(&*stream).send(&vec![0; 1 << 16]).is_ok() {}
            std::thread::sleep(Duration::from_millis(20));
        }
        let file = Arc::new(tempfile::tempfile().unwrap());
        tokio::time::pause();
        let mut body =
            Outgoing::to(stream, STALL, Body::file(file, 0, 1 << 20), (None, None), Answers::default().begin());
        let error = timeout(2 * STALL, body.frame()).await.expect("the answer is given up").unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_starts_again_after_each_read() {
        let mut stall = Stall { timeout: STALL, running: None };
        let mut bound = |ready| stall.bound(ready, &mut Context::from_waker(Waker::noop())).map(|done| done.is_ok());
        for _ in 0..3 {
            assert_eq!(bound(Poll::Pending::<io::Result<()>>), Poll::Pending);
            advance(STALL * 2 / 3).await;
            assert_eq!(bound(Poll::Pending), Poll::Pending);
            assert_eq!(bound(Poll::Ready(Ok(()))), Poll::Ready(true));
        }
        assert_eq!(bound(Poll::Pending), Poll::Pending);
        advance(2 * STALL).await;
        assert_eq!(bound(Poll::Pending), Poll::Ready(false));
    }
}
