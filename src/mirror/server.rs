//! The HTTP server: accepts, bounds, and stops gracefully.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::handle::Handler;
use super::host::Hosts;
use super::hot::Hot;
use super::pipeline::Pipeline;
use super::respond;
use super::route::BasePath;
use crate::fault::Fault;

/// Connections at once; the next ones wait in the listen queue. A thousand `go` commands are a large company.
const MAX_CONNECTIONS: usize = 4096;
/// A client that takes longer for its request head is not a client.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// What a request head may take: `go` sends about 200 bytes.
const MAX_HEADER_BUFFER: usize = 16 << 10;
/// How long answers under way may take once the server stops. Process managers kill after 30 s or more.
const GRACE: Duration = Duration::from_secs(20);
/// A pause after a failed accept: out of file handles, most likely, and some will be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running mirror.
#[derive(Debug)]
pub struct Mirror {
    url: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// Why the mirror did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}{}", hint(cause))]
pub struct StartError {
    address: SocketAddr,
    cause: io::Error,
}

impl StartError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Host
    }
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
    /// Listens on `address` and serves `pipeline` below `base` to whoever names one of `hosts`, until [`Mirror::stop`].
    pub async fn start(
        pipeline: Pipeline,
        address: SocketAddr,
        base: BasePath,
        hosts: Hosts,
    ) -> Result<Self, StartError> {
        Self::start_for(pipeline, address, base, Some(hosts)).await
    }

    /// Listens on a free loopback port below `base`, a path that others on this machine cannot guess, and answers only
    /// requests for its own host, which a page in a browser cannot make.
    pub async fn start_alone(pipeline: Pipeline, base: BasePath) -> Result<Self, StartError> {
        Self::start_for(pipeline, (Ipv4Addr::LOCALHOST, 0).into(), base, None).await
    }

    async fn start_for(
        pipeline: Pipeline,
        address: SocketAddr,
        base: BasePath,
        hosts: Option<Hosts>,
    ) -> Result<Self, StartError> {
        let failed = |cause| StartError { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let url = format!("http://{}{}", reachable(bound), base.as_str());
        let welcome = format!("sumgate {}: a Go module mirror that proves what it serves\n", env!("CARGO_PKG_VERSION"));
        let handler = Arc::new(Handler { pipeline, base, welcome, hot: Hot::default() });
        let (stop, stopped) = oneshot::channel();
        let hosts = hosts.unwrap_or_else(|| Hosts::Own(bound.to_string()));
        let running = tokio::spawn(accept(listener, handler, hosts, stopped));
        Ok(Self { url, stop, running })
    }

    /// The url to give to clients, without a trailing `/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops accepting, lets the answers under way finish for a bounded time, and returns.
    pub async fn stop(self) {
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

async fn accept(listener: TcpListener, handler: Arc<Handler>, hosts: Hosts, mut stopped: oneshot::Receiver<()>) {
    let hosts = Arc::new(hosts);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, &connections) => accepted,
            _ = &mut stopped => break,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (handler, hosts) = (Arc::clone(&handler), Arc::clone(&hosts));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (handler, hosts) = (Arc::clone(&handler), Arc::clone(&hosts));
            async move {
                let (head, _body) = request.into_parts();
                if let Some(why) = hosts.refuses(&head) {
                    return Ok::<_, Infallible>(respond::misdirected(&head.method, &why));
                }
                Ok(handler.answer(&head.method, &head.uri, &head.headers).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEADER_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
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

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small answers must not wait for an acknowledgement; a socket that refuses the option still works.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            None
        }
    }
}
