//! The connection of a client, and the answer that is on its way there.
//!
//! A client that reads slowly, or never, must cost little: the next piece of a file is read only once the socket has room for
//! it, pieces are small at first and after each long wait, and whoever takes nothing for [`STALL`] is gone.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::body::Body;
use super::places::Turn;

/// How long a client may take nothing at all. A send buffer of 2.5 MB, which has room again once a third of it is sent, lets
/// pass whoever reads 14 KB/s.
const STALL: Duration = Duration::from_mins(1);
/// A longer wait for room is a client that is slower than the disk by far.
const SLOW: Duration = Duration::from_millis(50);
/// The first piece, and each after a long wait: about a send buffer where the way is slow.
const SMALL_PIECE: usize = 64 << 10;

/// The connection of a client.
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    stall: Stall,
}

/// The body of an answer, with the socket that it goes to and its turn.
pub(super) struct Outgoing {
    body: Body,
    stream: Arc<TcpStream>,
    piece: usize,
    stall: Stall,
    _turn: Option<Turn>,
}

/// A wait for room in the socket.
#[derive(Default)]
struct Stall(Option<(Instant, Pin<Box<Sleep>>)>);

impl Stall {
    /// How long it took until there was room; an error if that is too long.
    fn until_room(&mut self, stream: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        if let Poll::Ready(ready) = stream.poll_write_ready(context) {
            let waited = self.0.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            return Poll::Ready(ready.map(|()| waited));
        }
        let begin = || (Instant::now(), Box::pin(tokio::time::sleep(STALL)));
        let (_, sleep) = self.0.get_or_insert_with(begin);
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Socket {
    pub(super) fn of(stream: Arc<TcpStream>) -> Self {
        Self { stream, stall: Stall::default() }
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stall.until_room(&self.stream, context))?;
            match send(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.stream, Shutdown::Write).map_err(io::Error::from))
    }
}

impl Outgoing {
    pub(super) fn to(stream: Arc<TcpStream>, body: Body, turn: Option<Turn>) -> Self {
        Self { body, stream, piece: SMALL_PIECE, stall: Stall::default(), _turn: turn }
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let Body::File(file) = &mut this.body else { return Pin::new(&mut this.body).poll_frame(context) };
        if !file.is_reading() {
            match ready!(this.stall.until_room(&this.stream, context)) {
                Ok(waited) if waited > SLOW => this.piece = SMALL_PIECE,
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let piece = ready!(file.poll_piece(context, this.piece));
        this.piece = this.piece.saturating_mul(2);
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;

    use http_body_util::BodyExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Arc::new(listener.accept().await.unwrap().0))
    }

    #[tokio::test]
    async fn who_takes_nothing_is_gone_after_a_while() {
        let (_client, stream) = pair().await;
        let mut socket = Socket::of(Arc::clone(&stream));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        let chunk = vec![0; 1 << 20];
        // From here on the clock jumps to the next timer whenever nothing else happens.
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        let error = loop {
            if let Err(error) = socket.write_all(&chunk).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut body = Outgoing::to(stream, Body::file(Arc::new(file), 0, 1 << 20), None);
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= 2 * STALL);
    }

    #[tokio::test]
    async fn the_first_piece_is_small_and_the_next_ones_grow() {
        let (_client, stream) = pair().await;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        let mut body = Outgoing::to(stream, Body::file(Arc::new(file), 0, 1 << 20), None);
        let mut sizes = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.unwrap().into_data().unwrap().len() >> 10);
        }
        assert_eq!(sizes, [64, 128, 256, 256, 256, 64]);
    }
}
