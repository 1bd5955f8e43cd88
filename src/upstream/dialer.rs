//! The connections of the program: to any address that the operator names, and only to public addresses that a public server
//! redirects to. `redirect` follows the redirects.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::redirect;
use tokio::sync::OnceCell;
use url::Url;

use super::inside::{is_inside, literal, names_this_machine};
use super::proxy_variables::ProxyVariables;
use super::roots::{NoCertificates, Roots, none_named};
use super::times::Timeouts;
use crate::base::flight::Flights;

/// Enough for 256 concurrent requests of an audit for tiles; more idle connections are closed.
const MAX_IDLE_PER_HOST: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// The addresses of a name. Blocks.
    pub(super) addresses: fn(&str) -> io::Result<Vec<SocketAddr>>,
    pub(super) is_inside: fn(IpAddr) -> bool,
}

impl Network {
    pub(super) const REAL: Self =
        Self { addresses: |name| (name, 0).to_socket_addrs().map(Iterator::collect), is_inside };
}

/// A name has an internal address, which a redirect from a public server must not reach.
#[derive(Debug, thiserror::Error)]
#[error("{0} has an internal address: {1}")]
struct Inside(String, IpAddr);

#[derive(Debug)]
pub(super) enum Unanswered {
    /// There is no client: it is built at the first request.
    NoClient(Arc<DialerError>),
    /// The address is internal, hence forbidden. The message is only for the log: it tells the address of an internal name.
    Inside(String),
    Failed(reqwest::Error),
}

type Built = Result<(reqwest::Client, Roots), Arc<DialerError>>;

/// Sends requests. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    /// Made when first needed, with the roots that it has: to read the certificates of a machine takes longer than an audit of
    /// what is stored. An error stays: the variables of this process do not change.
    anywhere: Arc<OnceCell<Built>>,
    /// Made when first needed. It does not share connections with `anywhere`, which does not check addresses.
    outside: Arc<OnceCell<reqwest::Client>>,
    pub(super) proxies: Arc<ProxyVariables>,
    timeouts: Timeouts,
    network: Network,
    /// `None`: those of the system; those built in if it has none.
    wanted_roots: Option<Roots>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialerError {
    #[error(transparent)]
    NoCertificates(#[from] NoCertificates),
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

impl Dialer {
    /// Verifies servers with the roots of the system; with those built in if it has none.
    pub(super) fn new(
        timeouts: Timeouts,
        proxies: &Arc<ProxyVariables>,
        network: Network,
    ) -> Result<Self, DialerError> {
        let dialer = Self::when_needed(timeouts, Arc::clone(proxies), network, None);
        let built = dialer.build()?;
        Ok(Self { anywhere: Arc::new(OnceCell::new_with(Some(Ok(built)))), ..dialer })
    }

    /// The same, but the roots are read at the first request. With other roots than these only if they are given.
    pub(super) fn when_needed(
        timeouts: Timeouts,
        proxies: Arc<ProxyVariables>,
        network: Network,
        wanted_roots: Option<Roots>,
    ) -> Self {
        Self { anywhere: Arc::default(), outside: Arc::default(), proxies, timeouts, network, wanted_roots }
    }

    /// The same with other timeouts and connections of its own.
    pub(super) fn with_timeouts(&self, timeouts: Timeouts) -> Self {
        Self::when_needed(timeouts, Arc::clone(&self.proxies), self.network, self.known_roots())
    }

    /// The roots, once they were read.
    pub(super) fn known_roots(&self) -> Option<Roots> {
        self.anywhere.get().and_then(|built| built.as_ref().ok()).map(|(_, roots)| *roots).or(self.wanted_roots)
    }

    /// Builds the client. Blocks on the certificates, some milliseconds.
    fn build(&self) -> Result<(reqwest::Client, Roots), DialerError> {
        let with = |roots| -> Result<_, DialerError> {
            let of = Arc::clone(&self.proxies);
            let proxy = reqwest::Proxy::custom(move |url| of.proxy(url).cloned());
            let client = builder(self.timeouts, roots).proxy(proxy).dns_resolver(Names::of(self.network, false));
            Ok((client.build()?, roots))
        };
        match self.wanted_roots {
            Some(roots) => with(roots),
            None => with(Roots::System).or_else(|_| {
                none_named()?;
                with(Roots::BuiltIn)
            }),
        }
    }

    async fn client(&self) -> Result<&(reqwest::Client, Roots), Unanswered> {
        let built = self.anywhere.get_or_init(|| async { self.build().map_err(Arc::new) }).await;
        built.as_ref().map_err(|error| Unanswered::NoClient(Arc::clone(error)))
    }

    pub(super) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<reqwest::Response, Unanswered> {
        let (client, _) = self.client().await?;
        client.get(url.clone()).headers(headers).send().await.map_err(Unanswered::Failed)
    }

    /// Sends a body.
    pub(super) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Response, Unanswered> {
        let (client, _) = self.client().await?;
        client.post(url.clone()).headers(headers).body(body).send().await.map_err(Unanswered::Failed)
    }

    /// Sends a request, unless its address is internal. The checked addresses are the ones that are connected to. Through a proxy
    /// only the host in the URL is checked, because the proxy looks up the name.
    pub(super) async fn get_outside(&self, url: &Url, headers: HeaderMap) -> Result<reqwest::Response, Unanswered> {
        if self.names_inside(url) {
            return Err(Unanswered::Inside(format!("{} is internal", url.host_str().unwrap_or_default())));
        }
        if self.is_proxied(url) {
            return self.get(url, headers).await;
        }
        let (_, roots) = self.client().await?;
        let build = || async {
            let names = Names::of(self.network, true);
            builder(self.timeouts, *roots).dns_resolver(names).build()
        };
        let outside = self.outside.get_or_try_init(build).await.map_err(Unanswered::Failed)?;
        outside.get(url.clone()).headers(headers).send().await.map_err(|error| match inside_among(&error) {
            Some(inside) => Unanswered::Inside(inside.to_string()),
            None => Unanswered::Failed(error),
        })
    }

    /// Whether the answer to a request for `url` came from a public address. Through a proxy the address is unknown, and the host
    /// in the URL decides.
    pub(super) fn came_from_outside(&self, url: &Url, response: &reqwest::Response) -> bool {
        match response.remote_addr() {
            Some(address) if !self.is_proxied(url) => !(self.network.is_inside)(address.ip()),
            _ => !self.names_inside(url),
        }
    }

    fn names_inside(&self, url: &Url) -> bool {
        names_this_machine(url) || literal(url).is_some_and(self.network.is_inside)
    }

    fn is_proxied(&self, url: &Url) -> bool {
        self.proxies.proxy(url).is_some()
    }
}

pub(super) fn builder(timeouts: Timeouts, roots: Roots) -> reqwest::ClientBuilder {
    // Fails if it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("sumgate/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.whole)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .redirect(redirect::Policy::none())
        // Only what `ProxyVariables` says.
        .no_proxy();
    roots.add_to(builder)
}

/// Looks up names; with `outside_only`, a name with an internal address is an error.
struct Names {
    network: Network,
    outside_only: bool,
    /// Each name is looked up once for all requests that wait for it: hundreds of the same would be lost by a small name server.
    lookups: Flights<String, Result<Vec<SocketAddr>, Arc<io::Error>>>,
}

impl Names {
    fn of(network: Network, outside_only: bool) -> Self {
        Self { network, outside_only, lookups: Flights::default() }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (Network { addresses, is_inside }, outside_only) = (self.network, self.outside_only);
        let (host, lookups) = (name.as_str().to_owned(), self.lookups.clone());
        Box::pin(async move {
            let lookup = || async move {
                let found = tokio::task::spawn_blocking(move || addresses(name.as_str())).await;
                found.map_err(io::Error::other).flatten().map_err(Arc::new)
            };
            let found = lookups.join(host.clone(), lookup).await??;
            match found.iter().find(|address| outside_only && is_inside(address.ip())) {
                Some(address) => Err(Inside(host, address.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

fn inside_among(error: &reqwest::Error) -> Option<&Inside> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source()).find_map(|error| error.downcast_ref())
}
