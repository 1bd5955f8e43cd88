//! The settings of `serve`, checked, and the pipeline that they make.

use std::sync::Arc;

use super::args::{EventLogArgs, ExemptArgs, ServeArgs};
use super::config::{self, PathSource};
use super::exit::Failure;
use super::serve_file::ConfigFile;
use super::sources::{self, SourceConfig};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::events::{Feed, Journal, Notifier, Receiver, Recorder, Tally};
use crate::mirror::{BasePath, Hosts, ListenAddress, Pipeline, ServerOptions, TrustedProxies};
use crate::page;
use crate::policy::Policy;
use crate::release::{EventLog, Expectations};
use crate::store::Store;
use crate::sumdb::{Database, Databases};
use crate::telemetry::Metrics;
use crate::upstream::{HttpClient, Roots, Secret, Ttls};
use gomodule::module::Patterns;

pub(super) struct ServeSettings {
    pub(super) sources: SourceConfig,
    pub(super) databases: Vec<Database>,
    pub(super) policy: Option<Policy>,
    pub(super) base: BasePath,
    exempt: Patterns,
    hosts: Hosts,
    http: HttpClient,
    receiver: Option<Receiver>,
}

/// What is kept while the settings are read again. Cheap to clone.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) journal: Journal,
    pub(super) notifier: Notifier,
    pub(super) feed: Feed,
    pub(super) metrics: Metrics,
    pub(super) tally: Tally,
}

/// What a mirror needs to serve with these settings.
pub(super) struct Serving {
    pub(super) pipeline: Pipeline,
    pub(super) options: ServerOptions,
    pub(super) clients: Databases,
    pub(super) exempt: Patterns,
    pub(super) private: Patterns,
    /// Where files come from, for a reader.
    pub(super) from: String,
    /// The rules of the policy that only warn, for a reader.
    pub(super) warn: Option<String>,
    pub(super) recorder: Recorder,
}

impl ServeSettings {
    pub(super) fn of(args: &ServeArgs, file: ConfigFile) -> Result<Self, Failure> {
        let ExemptArgs { private, case, .. } = &args.address.exempt;
        let direct = config::private(private, case)?;
        let sources = sources::of(file.settings, &args.upstreams.upstream, direct, case, None)?;
        let databases = args.timeout.limit(sources.reach(config::databases(&args.databases.sumdb)?));
        let (base, exempt) = config::address(&args.address)?;
        let hosts = Hosts::named(&args.host);
        let hosts = hosts.map_err(|error| Failure::new(Fault::Request, format!("--host {error}")))?;
        let policy = args.policy.as_deref().map(|path| config::read_policy(path, PathSource::Named)).transpose()?;
        let policy = policy.map(|policy| args.warn.applied_to(policy));
        let http = config::http(args.offline)?;
        let receiver = receiver(args)?;
        let private = sources.private();
        if args.shared && !private.is_empty() {
            let message = format!(
                "--shared lets every user of this machine read the data folder, and there are private modules ({private}): \
                 remove --shared, or serve these modules from another data folder (--data)"
            );
            return Err(Failure::new(Fault::Request, message));
        }
        check_show_private(args)?;
        Ok(Self { sources, databases, policy, base, exempt, hosts, http, receiver })
    }

    /// Sets up everything anew over `store`: clients of the databases, upstreams, and empty caches. What is `kept` receives the
    /// events and the numbers. Must be called in the runtime.
    pub(super) fn serving(self, args: &ServeArgs, store: &Arc<Store>, kept: &Kept) -> Result<Serving, Failure> {
        let Kept { journal, notifier, feed, metrics, tally } = kept;
        let clients = config::clients(self.databases, &args.state.anchor, store, &self.http, self.policy.as_slice())?;
        let ttls = Ttls { absent: args.absent, fresh: args.fresh, stale: args.stale, hold: Some(args.hold.hold) };
        let router = if args.offline {
            config::offline_router(&[], ttls)?
        } else {
            self.sources.router(ttls, &self.http, store)?
        };
        router.report_to(metrics);
        clients.iter().for_each(|client| client.report_to(metrics));
        let private = self.sources.private();
        let exempt = self.exempt.with(private.clone());
        let warn = self.policy.as_ref().and_then(Policy::warning_only);
        let expectations = Expectations { databases: clients.clone(), exempt: exempt.clone() };
        if let Some(receiver) = &self.receiver {
            let sends = notifier.send_to(receiver.clone(), &self.http, Clock::System);
            sends.map_err(|error| Failure::host("set up --notify", &error))?;
        } else {
            notifier.stop();
        }
        let notifier = self.receiver.is_some().then(|| notifier.clone());
        let recorder = Recorder::new(journal.clone(), notifier, feed.clone(), tally.clone(), Clock::System);
        let events = EventLog::with_recorder(recorder.clone(), exempt.clone(), metrics.clone());
        let pipeline =
            Pipeline::new(Arc::clone(store), router, expectations, self.policy.into(), events, Clock::System);
        let proxies = TrustedProxies(args.trusted_proxy.clone());
        let pages = Some(page::pages(pipeline.clone(), feed.clone(), args.page.show_private));
        let options = ServerOptions {
            hosts: self.hosts,
            proxies,
            idle: args.idle,
            metrics: metrics.clone(),
            max_head_age: args.max_head_age,
            pages,
        };
        let mut from = if args.offline { "none: offline".to_owned() } else { self.sources.upstreams.to_string() };
        if self.http.roots() == Roots::BuiltIn {
            from.push_str("\n  roots     built in: there are no CA certificates on this machine");
        }
        if let Some(file) = &args.policy {
            from.push_str(&format!("\n  policy    {}", file.display()));
            from.extend(warn.iter().map(|what| format!(", which only warns: {what}")));
        }
        from.extend(self.receiver.iter().map(|receiver| format!("\n  notify    {receiver}")));
        Ok(Serving { pipeline, options, clients, exempt, private, from, warn, recorder })
    }
}

/// Whom the mirror tells of events.
fn receiver(args: &ServeArgs) -> Result<Option<Receiver>, Failure> {
    let EventLogArgs { notify, notify_secret, .. } = &args.events;
    let wrong = |message: &str| Err(Failure::new(Fault::Request, message));
    match (notify, notify_secret) {
        (None, None) => Ok(None),
        (None, Some(_)) => wrong("--notify-secret needs --notify URL, to which events are sent"),
        (Some(_), None) => wrong("--notify needs --notify-secret FILE, with the secret that signs what is sent"),
        (Some(_), Some(_)) if args.offline => {
            wrong("--notify sends requests, which --offline forbids: remove one of them")
        }
        (Some(url), Some(file)) => {
            let receiver = Receiver::new(url, &Secret::File(file.clone()));
            receiver.map(Some).map_err(|error| Failure::new(Fault::Request, format!("--notify: {error}")))
        }
    }
}

/// Private modules are shown to the users of this machine only.
fn check_show_private(args: &ServeArgs) -> Result<(), Failure> {
    let refused = |found: String| {
        let message = format!(
            "--show-private shows private modules to everybody who can reach the mirror: expected a loopback address in --listen, \
             and neither --host nor --trusted-proxy, found {found}"
        );
        Err(Failure::new(Fault::Request, message))
    };
    let listen = args.address.at.listen;
    match listen {
        _ if !args.page.show_private => Ok(()),
        ListenAddress::At(address) if !address.ip().is_loopback() => refused(format!("--listen {address}")),
        ListenAddress::Everywhere(_) => refused(format!("--listen {listen}")),
        ListenAddress::At(_) if !args.host.is_empty() => refused(format!("--host {}", args.host.join(","))),
        ListenAddress::At(_) if !args.trusted_proxy.is_empty() => refused("--trusted-proxy".to_owned()),
        ListenAddress::At(_) => Ok(()),
    }
}
