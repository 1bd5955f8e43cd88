//! `sumgate serve`: runs the mirror until a signal.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::args::{ExemptArgs, ServeArgs};
use super::config::{self, PathSource};
use super::exit::{Exit, Failure};
use super::runtime::Runtime;
use super::serve_check::check;
use super::serve_file::ConfigFile;
use super::{out, sources};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::mirror::{Hosts, Mirror, Pipeline, ServerOptions, TrustedProxies};
use crate::release::{EventLog, Expectations};
use crate::store::{Access, Modes, Store};
use crate::sumdb::{DatabaseId, Databases};
use crate::upstream::{Roots, Ttls};
use gomodule::module::Patterns;

pub(super) fn run(args: &ServeArgs, file: Result<ConfigFile, Failure>) -> Result<Exit, Failure> {
    let ExemptArgs { private, case, .. } = &args.address.exempt;
    let direct = config::private(private, case)?;
    let source_config = sources::of(file?.settings, &args.upstreams.upstream, direct, case, None)?;
    let databases = args.timeout.limit(source_config.reach(config::databases(&args.databases.sumdb)?));
    let (base, exempt) = config::address(&args.address)?;
    let hosts = Hosts::named(&args.host).map_err(|error| Failure::new(Fault::Request, format!("--host {error}")))?;
    let policy = args.policy.as_deref().map(|path| config::read_policy(path, PathSource::Named)).transpose()?;
    let http = config::http(args.offline)?;
    let private = source_config.private();
    let modes = if args.shared { Modes::Shared } else { Modes::Private };
    if args.shared && !private.is_empty() {
        let message = format!(
            "--shared lets every user of this machine read the data folder, and there are private modules ({private}): \
             remove --shared, or serve these modules from another data folder (--data)"
        );
        return Err(Failure::new(Fault::Request, message));
    }
    if args.check {
        return check(args, &source_config, databases, policy.as_slice());
    }
    let access = if args.offline { Access::Read } else { Access::Download };
    let store = Store::open_for(&config::data_folder(args.state.data.as_deref())?, access, modes, Clock::System)?;
    let store = Arc::new(store);
    let clients = config::clients(databases, &args.state.anchor, &store, &http, policy.as_slice())?;
    out::start_log("info");

    let ttls = Ttls { absent: args.absent, fresh: args.fresh, stale: args.stale, hold: Some(args.hold.hold) };
    let router =
        if args.offline { config::offline_router(&[], ttls)? } else { source_config.router(ttls, &http, &store)? };
    let exempt = exempt.with(private.clone());
    let expectations = Expectations { databases: clients.clone(), exempt: exempt.clone() };
    Runtime::start()?.block_on(async {
        // Before the mirror starts, so that no signal is missed.
        let listen = |kind| signal(kind).map_err(|error| Failure::host("listen to signals", &error));
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        // A terminal that closes, or a log rotation, does not end it. The settings are not read again.
        let _hangup = listen(SignalKind::hangup())?;
        let pipeline =
            Pipeline::new(Arc::clone(&store), router, expectations, policy.into(), EventLog::default(), Clock::System);
        let proxies = TrustedProxies(args.trusted_proxy.clone());
        let audience = ServerOptions { hosts, proxies, idle: args.idle };
        let mirror = Mirror::start(pipeline, args.address.at.listen, base, audience).await?;
        let mut from = if args.offline { "none: offline".to_owned() } else { source_config.upstreams.to_string() };
        if http.roots() == Roots::BuiltIn {
            from.push_str("\n  roots     built in: there are no CA certificates on this machine");
        }
        out::print(&greeting(mirror.url(), &store, &from, &clients, &exempt, &private));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        tokio::select! {
            () = mirror.stop() => {}
            // A second signal ends the program at once.
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(Exit::Success)
    })
}

/// What is printed at the start: where everything comes from, and the line to paste.
fn greeting(
    url: &str,
    store: &Store,
    upstreams: &str,
    clients: &Databases,
    exempt: &Patterns,
    private: &Patterns,
) -> String {
    let mut text = format!("sumgate {} listening on {url}\n", env!("CARGO_PKG_VERSION"));
    text.push_str(&format!("  data      {}\n  upstream  {upstreams}\n", store.root().display()));
    for client in clients.iter() {
        text.push_str(&format!("  database  {}\n", client.database()));
    }
    for (name, patterns) in [("unproved", exempt), ("private ", private)] {
        if !patterns.is_empty() {
            text.push_str(&format!("  {name}  {patterns}\n"));
        }
    }
    let line = config::go_env_line(url, clients.at(DatabaseId::FIRST).database(), exempt);
    text + &format!("To use it:\n  {line}\n")
}
