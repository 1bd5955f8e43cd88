//! The HTTP server: accepts, bounds, and stops gracefully.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::body::Body;
use super::connection_limits::{self, ConnectionLimits, ConnectionPermit, Slot};
use super::exchange::Exchange;
use super::forwarded::TrustedProxies;
use super::handle::Handler;
use super::head_timer::Answers;
use super::host::Hosts;
use super::listen::ListenAddress;
use super::own::{Own, OwnPath};
use super::own_pages::{OwnPages, OwnRequest};
use super::respond;
use super::response_cache::ResponseCache;
use super::socket::{Outgoing, Socket};
use crate::base::lock::lock;
use crate::base::request_context::{RequestContext, RequestId, RequestIds};
use crate::mirror::pipeline::Pipeline;
use crate::mirror::readiness::Readiness;
use crate::mirror::route::BasePath;
use crate::telemetry::Metrics;

/// For a request head: `go` sends about 200 bytes.
const MAX_HEADER_BUFFER: usize = 16 << 10;
/// Above the 60 seconds after which most load balancers close an idle connection: the side that sends the next request should
/// close first, or that request may meet a closed connection.
const IDLE: Duration = Duration::from_secs(75);
/// For a mirror without this setting.
const MAX_HEAD_AGE: Duration = Duration::from_secs(3600);
/// How long unfinished answers may take once the server stops. Process managers kill after 30 s or more.
const GRACE: Duration = Duration::from_secs(20);
/// After a failed accept, most likely because no file handle is free: some will be freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    pub(crate) hosts: Hosts,
    pub(crate) proxies: TrustedProxies,
    /// How long an idle connection stays open.
    pub(crate) idle: Duration,
    pub(crate) metrics: Metrics,
    /// The mirror is not ready if a database has shown no tree head for this time.
    pub(crate) max_head_age: Duration,
    /// The page and the API, if there are any.
    pub(crate) pages: Option<OwnPages>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            hosts: Hosts::default(),
            proxies: TrustedProxies::default(),
            idle: IDLE,
            metrics: Metrics::default(),
            max_head_age: MAX_HEAD_AGE,
            pages: None,
        }
    }
}

/// What a request is answered with.
struct Serving {
    handler: Handler,
    options: ServerOptions,
    readiness: Readiness,
}

struct Listener {
    /// A request takes it once, and ends with what it took, also if it is replaced meanwhile.
    serving: Mutex<Arc<Serving>>,
    limits: Arc<ConnectionLimits>,
    ids: RequestIds,
}

pub(crate) struct Mirror {
    url: String,
    base: BasePath,
    listener: Arc<Listener>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}{}", hint(cause))]
pub(crate) struct StartError {
    address: ListenAddress,
    cause: io::Error,
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; another program has that port: stop it, or choose one with --listen",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: choose a higher one with --listen",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address: try --listen 127.0.0.1:8080",
        _ => "",
    }
}

impl Mirror {
    /// Listens on `address` and serves `pipeline` below `base`, until [`Mirror::stop`].
    pub(crate) async fn start(
        pipeline: Pipeline,
        address: ListenAddress,
        base: BasePath,
        options: ServerOptions,
        ids: RequestIds,
    ) -> Result<Self, StartError> {
        connection_limits::raise_open_files();
        Self::start_for(pipeline, address, base, Some(options), ids).await
    }

    /// Listens on a free loopback port below `base`, a path that other users of this machine cannot guess, and answers only
    /// requests for its own address, which a page in a browser cannot send.
    pub(crate) async fn start_alone(pipeline: Pipeline, base: BasePath, ids: RequestIds) -> Result<Self, StartError> {
        let any_port = ListenAddress::At((Ipv4Addr::LOCALHOST, 0).into());
        Self::start_for(pipeline, any_port, base, None, ids).await
    }

    async fn start_for(
        pipeline: Pipeline,
        address: ListenAddress,
        base: BasePath,
        options: Option<ServerOptions>,
        ids: RequestIds,
    ) -> Result<Self, StartError> {
        let (listener, reachable) = address.listen().await.map_err(|cause| StartError { address, cause })?;
        let url = format!("http://{reachable}{}", base.as_str());
        let own = || ServerOptions { hosts: Hosts::Own(reachable.to_string()), ..ServerOptions::default() };
        let options = options.unwrap_or_else(own);
        let serving = Mutex::new(Arc::new(Serving::of(pipeline, base.clone(), options)));
        let server = Arc::new(Listener { serving, ids, limits: ConnectionLimits::of_this_process() });
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(accept(listener, Arc::clone(&server), stopped));
        Ok(Self { url, base, listener: server, stop, running })
    }

    /// Serves this from the next request on, with empty caches. Requests in progress end with what was there before: for a moment
    /// there are two sets of connections to the upstreams.
    pub(crate) fn replace(&self, pipeline: Pipeline, options: ServerOptions) {
        *lock(&self.listener.serving) = Arc::new(Serving::of(pipeline, self.base.clone(), options));
    }

    /// The URL to give to clients, without a trailing `/`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stops accepting, and returns once unfinished answers were sent, or after a bounded time.
    pub(crate) async fn stop(self) {
        // Both fail only if the server has ended already.
        let _ = self.stop.send(());
        let _ = self.running.await;
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
        let serving = server.serving();
        let ServerOptions { idle, proxies, .. } = &serving.options;
        let timeouts = server.limits.timeouts(*idle, proxies.trusts(peer.to_canonical()));
        let (server, stream, answers) = (Arc::clone(&server), Arc::new(stream), Answers::default());
        let clock = serving.handler.pipeline.clock;
        let socket = TokioIo::new(Socket::of(Arc::clone(&stream), timeouts, answers.clone(), clock));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (server, stream, answering) = (Arc::clone(&server), Arc::clone(&stream), answers.begin());
            async move {
                let (head, body) = request.into_parts();
                let (response, until_sent) = server.answer(peer, &head, body).await;
                Ok::<_, Infallible>(
                    response.map(|body| Outgoing::to(stream, timeouts.stall, body, until_sent, answering)),
                )
            }
        });
        let connection = http1::Builder::new()
            // The socket has a timer of its own.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEADER_BUFFER)
            .serve_connection(socket, service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that disconnects early is not worth a log line.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped after {} s with unfinished answers", GRACE.as_secs());
    }
}

impl Serving {
    fn of(pipeline: Pipeline, base: BasePath, options: ServerOptions) -> Self {
        let cache = ResponseCache::new(pipeline.clock, options.metrics.clone());
        let readiness = Readiness::new(options.max_head_age, pipeline.clock);
        Self { handler: Handler { pipeline, base, cache }, options, readiness }
    }
}

impl Listener {
    fn serving(&self) -> Arc<Serving> {
        Arc::clone(&lock(&self.serving))
    }

    /// The answer to a request, and what is held until the answer was sent.
    async fn answer(
        &self,
        peer: IpAddr,
        head: &Parts,
        body: Incoming,
    ) -> (Response<Body>, (Option<Slot>, Option<Exchange>)) {
        let serving = self.serving();
        let Serving { handler, options, .. } = &*serving;
        let request = self.context(options, peer, head);
        let refused = options.hosts.refuses(head);
        if refused.is_none()
            && let Some(response) = self.own(&serving, head).await
        {
            return (respond::finish(&head.method, &request.id, response), (None, None));
        }
        let mut exchange = Exchange::begin(request, head, options.metrics.clone(), handler.pipeline.clock);
        let (response, slot) = if let Some(why) = refused {
            (respond::refusal(StatusCode::MISDIRECTED_REQUEST, &why), None)
        } else {
            let (client, is_of_proxy) = (exchange.request().client, options.proxies.trusts(peer.to_canonical()));
            let page = OwnRequest::of(head, body, &handler.base, client, is_of_proxy);
            let answer = self.answer_in_turn(handler, head, options.pages.as_ref().zip(page), exchange.request());
            exchange.parent_span().during(answer).await
        };
        let response = respond::finish(&head.method, &exchange.request().id, response);
        exchange.answered(&response);
        (response, (slot, Some(exchange)))
    }

    /// The answer at a path of the mirror itself.
    async fn own(&self, serving: &Serving, head: &Parts) -> Option<Response<Body>> {
        let Serving { handler, options, readiness } = serving;
        let path = OwnPath::of(head, &handler.base)?;
        let own = Own { handler, readiness, metrics: &options.metrics, connections: self.limits.connections() };
        own.answer(path, &head.headers).await
    }

    /// A trusted proxy may have chosen the id already.
    fn context(&self, options: &ServerOptions, peer: IpAddr, head: &Parts) -> RequestContext {
        let proxies = &options.proxies;
        let given = head.headers.get(respond::REQUEST_ID).filter(|_| proxies.trusts(peer.to_canonical()));
        let given = given.and_then(|value| RequestId::given(value.as_bytes()));
        let id = given.unwrap_or_else(|| self.ids.next());
        RequestContext { id, client: proxies.client(peer, &head.headers) }
    }

    async fn answer_in_turn(
        &self,
        handler: &Handler,
        head: &Parts,
        page: Option<(&OwnPages, OwnRequest)>,
        request: &RequestContext,
    ) -> (Response<Body>, Option<Slot>) {
        let Some(slot) = self.limits.request_slot(request.client).await else { return (respond::busy(), None) };
        let response = match page {
            Some((pages, page)) => pages.answer(page).await,
            None => handler.answer(head, request).await,
        };
        (response, Some(slot))
    }
}

/// The next connection, once another one is allowed. Those of an address that has too many are closed.
async fn next(listener: &TcpListener, server: &Listener) -> Option<(TcpStream, IpAddr, ConnectionPermit)> {
    let mut permit = server.limits.free_connection().await?;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                return None;
            }
        };
        // Many clients share the address of a proxy, and the mirror of `run` has one client.
        let serving = server.serving();
        let ServerOptions { hosts, proxies, .. } = &serving.options;
        let is_one_client = matches!(hosts, Hosts::Named(_)) && !proxies.trusts(peer.to_canonical());
        match server.limits.connection_permit(permit, is_one_client.then_some(peer)) {
            Ok(place) => {
                // Small answers must not wait for an acknowledgement. Without the option they are only slower.
                let _ = stream.set_nodelay(true);
                return Some((stream, peer, place));
            }
            Err(unused) => permit = unused,
        }
    }
}
