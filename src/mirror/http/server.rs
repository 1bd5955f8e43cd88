//! The HTTP server: accepts, bounds, and stops gracefully.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::body::Body;
use super::forwarded::TrustedProxies;
use super::handle::Handler;
use super::host::Hosts;
use super::places::{self, Claim, Place, Places};
use super::respond;
use super::response_cache::ResponseCache;
use super::socket::{Outgoing, Socket};
use crate::mirror::pipeline::Pipeline;
use crate::mirror::route::BasePath;

/// What a request head may take: `go` sends about 200 bytes.
const MAX_HEADER_BUFFER: usize = 16 << 10;
/// How long answers under way may take once the server stops. Process managers kill after 30 s or more.
const GRACE: Duration = Duration::from_secs(20);
/// A pause after a failed accept: out of file handles, most likely, and some will be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whose requests are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    pub(crate) hosts: Hosts,
    /// Proxies that stand in front, and say whose requests they pass on.
    pub(crate) proxies: TrustedProxies,
}

/// What a request passes before it is answered.
struct Listener {
    handler: Handler,
    audience: Audience,
    places: Arc<Places>,
}

#[derive(Debug)]
pub(crate) struct Mirror {
    url: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}{}", hint(cause))]
pub(crate) struct StartError {
    address: SocketAddr,
    cause: io::Error,
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; another program has that port: stop it, or choose one with --listen",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: choose a higher one with --listen",
        io::ErrorKind::AddrNotAvailable => "; that address is none of this machine's: try --listen 127.0.0.1:8080",
        _ => "",
    }
}

impl Mirror {
    /// Listens on `address` and serves `pipeline` below `base` to this audience, until [`Mirror::stop`].
    pub(crate) async fn start(
        pipeline: Pipeline,
        address: SocketAddr,
        base: BasePath,
        audience: Audience,
    ) -> Result<Self, StartError> {
        places::raise_open_files();
        Self::start_for(pipeline, address, base, Some(audience)).await
    }

    /// Listens on a free loopback port below `base`, a path that others on this machine cannot guess, and answers only
    /// requests for its own host, which a page in a browser cannot make.
    pub(crate) async fn start_alone(pipeline: Pipeline, base: BasePath) -> Result<Self, StartError> {
        Self::start_for(pipeline, (Ipv4Addr::LOCALHOST, 0).into(), base, None).await
    }

    async fn start_for(
        pipeline: Pipeline,
        address: SocketAddr,
        base: BasePath,
        audience: Option<Audience>,
    ) -> Result<Self, StartError> {
        let failed = |cause| StartError { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let url = format!("http://{}{}", reachable(bound), base.as_str());
        let welcome = format!("sumgate {}: a Go module mirror that proves what it serves\n", env!("CARGO_PKG_VERSION"));
        let handler = Handler { pipeline, base, welcome, kept: ResponseCache::default() };
        let own = || Audience { hosts: Hosts::Own(bound.to_string()), ..Audience::default() };
        let audience = audience.unwrap_or_else(own);
        let server = Arc::new(Listener { handler, audience, places: Places::of_this_process() });
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(accept(listener, server, stopped));
        Ok(Self { url, stop, running })
    }

    /// The url to give to clients, without a trailing `/`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stops accepting, lets the answers under way finish for a bounded time, and returns.
    pub(crate) async fn stop(self) {
        // Both fail only if the server has ended already.
        let _ = self.stop.send(());
        let _ = self.running.await;
    }
}

/// An address that can be dialled: "all addresses" includes the loopback one.
fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), bound.port()),
        _ => bound,
    }
}

async fn accept(listener: TcpListener, server: Arc<Listener>, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, &server) => accepted,
            _ = &mut stopped => break,
        };
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (server, stream, patience) = (Arc::clone(&server), Arc::new(stream), server.places.patience());
        let socket = TokioIo::new(Socket::of(Arc::clone(&stream), patience.stall));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (server, stream) = (Arc::clone(&server), Arc::clone(&stream));
            async move {
                let (head, _body) = request.into_parts();
                let (response, turn) = server.answer(peer, &head).await;
                Ok::<_, Infallible>(response.map(|body| Outgoing::to(stream, patience.stall, body, turn)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.head)
            .max_buf_size(MAX_HEADER_BUFFER)
            .serve_connection(socket, service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away in the middle is no event.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with answers under way after {} s", GRACE.as_secs());
    }
}

impl Listener {
    /// The answer to a request, and its turn, which ends when the answer was sent.
    async fn answer(&self, peer: IpAddr, head: &Parts) -> (Response<Body>, Option<Claim>) {
        if let Some(why) = self.audience.hosts.refuses(head) {
            let refusal = respond::refusal(StatusCode::MISDIRECTED_REQUEST, &why);
            return (respond::finish(&head.method, refusal), None);
        }
        let turn = self.places.turn(self.audience.proxies.client(peer, &head.headers)).await;
        if turn.is_none() {
            return (respond::busy(&head.method), None);
        }
        (self.handler.answer(&head.method, &head.uri, &head.headers).await, turn)
    }
}

/// The next connection, once there is a place for it. Those of an address that has too many are closed.
async fn next(listener: &TcpListener, server: &Listener) -> Option<(TcpStream, IpAddr, Place)> {
    let mut permit = server.places.next().await?;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                return None;
            }
        };
        // A proxy stands for many clients, and the mirror of a run has one.
        let Audience { hosts, proxies } = &server.audience;
        let is_one_client = matches!(hosts, Hosts::Named(_)) && !proxies.trusts(peer.to_canonical());
        match server.places.place(permit, is_one_client.then_some(peer)) {
            Ok(place) => {
                // Small answers must not wait for an acknowledgement; a socket that refuses the option still works.
                let _ = stream.set_nodelay(true);
                return Some((stream, peer, place));
            }
            Err(unused) => permit = unused,
        }
    }
}
