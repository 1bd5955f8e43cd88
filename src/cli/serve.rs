//! `sumgate serve`: runs the mirror until a signal.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use super::args::ServeArgs;
use super::exit::{Exit, Failure};
use super::notify::Manager;
use super::random::random;
use super::reload::{Reload, event_limits};
use super::runtime::Runtime;
use super::serve_check::check;
use super::serve_file::ConfigFile;
use super::serve_settings::{Kept, ServeSettings, Serving};
use super::traces::TraceSettings;
use super::{config, out};
use crate::base::clock::Clock;
use crate::base::request_context::RequestIds;
use crate::events::{Feed, Journal, Notifier, Tally, fill};
use crate::mirror::{Mirror, REFUSAL_CODES, Watch, Watched, go_env_line};
use crate::store::{Access, Modes, Store};
use crate::sumdb::{DatabaseId, Databases};
use crate::telemetry::Metrics;
use gomodule::module::Patterns;

pub(super) fn run(args: &ServeArgs, file: Result<ConfigFile, Failure>) -> Result<Exit, Failure> {
    let (settings, traces) = (ServeSettings::of(args, file?)?, TraceSettings::read()?);
    if args.check {
        return check(args, &settings.sources, settings.databases, settings.policy.as_slice());
    }
    let access = if args.offline { Access::Read } else { Access::Download };
    let modes = if args.shared { Modes::Shared } else { Modes::Private };
    let data = config::data_folder(args.state.data.as_deref())?;
    let store = Arc::new(Store::open_for(&data, access, modes, Clock::System)?);
    out::start_log_of_mirror(args.log_format);
    let metrics = Metrics::counting(&REFUSAL_CODES, Clock::System.now().wall);
    let traces = traces.start(args.offline)?;
    let ended = Runtime::start()?.block_on(async {
        // Before the mirror starts, so that no signal is missed.
        let listen = |kind| signal(kind).map_err(|error| Failure::host("listen to signals", &error));
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let (mut hangup, manager) = (listen(SignalKind::hangup())?, Manager::of_environment());
        let base = settings.base.clone();
        let kept = keep(args, &store, metrics)?;
        remember(&kept.feed, &store);
        let Serving { pipeline, options, clients, exempt, private, from, recorder, .. } =
            settings.serving(args, &store, &kept)?;
        let watched = Watched::default();
        let mut watch = Watch::start(&pipeline, recorder, watched.clone());
        let ids = RequestIds::from_seed(random()?);
        let mirror = Mirror::start(pipeline, args.address.at.listen, base, options, ids).await?;
        out::print(&greeting(mirror.url(), &store, &(from + &traces.greeting()), &clients, &exempt, &private));
        drop(clients);
        manager.ready("listening");
        let reload = Reload::new(args, &store, &kept);
        loop {
            let read = async {
                hangup.recv().await;
                manager.reloading();
                let reload = reload.clone();
                spawn_blocking(move || reload.read()).await
            };
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                read = read => {
                    let read = read.map_err(|error| Failure::host("read the settings again", &error)).flatten();
                    let (other, status) = apply(&mirror, read, &watched);
                    watch = other.unwrap_or(watch);
                    manager.ready(status);
                }
            }
        }
        tracing::info!("stopping");
        drop(watch);
        manager.stopping();
        kept.feed.end_streams();
        tokio::select! {
            () = mirror.stop() => {}
            // A second signal ends the program at once.
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        kept.journal.flush().await;
        Ok(Exit::Success)
    });
    traces.end();
    ended
}

/// What outlives the settings.
fn keep(args: &ServeArgs, store: &Store, metrics: Metrics) -> Result<Kept, Failure> {
    let journal = Journal::start(store.events().writer(event_limits(args)), metrics.clone());
    let journal = journal.map_err(|error| Failure::host("start the event log", &error))?;
    let notifier = Notifier::new(store.root(), Clock::System);
    let (feed, tally) = (Feed::new(Clock::System.now().wall), Tally::new(Clock::System.steady()));
    Ok(Kept { journal, notifier, feed, metrics, tally })
}

/// Puts the last events of earlier runs into the feed, while the mirror serves already.
fn remember(feed: &Feed, store: &Arc<Store>) {
    let (feed, store) = (feed.clone(), Arc::clone(store));
    spawn_blocking(move || {
        if let Err(error) = fill(&feed, store.events()) {
            tracing::warn!("the page lacks the events of earlier runs: {error}");
        }
    });
}

/// Replaces the settings if they are valid. Prints which are in force, and returns it in few words.
fn apply(
    mirror: &Mirror,
    read: Result<(Serving, Vec<&'static str>), Failure>,
    watched: &Watched,
) -> (Option<Watch>, &'static str) {
    match read {
        Ok((serving, in_vain)) => {
            let watch = Watch::start(&serving.pipeline, serving.recorder, watched.clone());
            mirror.replace(serving.pipeline, serving.options);
            let warns = serving.warn.map(|what| format!("; the policy only warns: {what}")).unwrap_or_default();
            let hint = match in_vain.join(", ") {
                none if none.is_empty() => none,
                flags => format!("; to change {flags}, start the mirror again"),
            };
            out::message(&format!("the settings were read again and are in force{warns}{hint}"));
            (Some(watch), "the settings were read again")
        }
        Err(failure) => {
            out::message(&format!("the settings were read again, and the old ones stay in force:\n{failure}"));
            (None, "the new settings are invalid; the old ones stay in force")
        }
    }
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
    let line = go_env_line(url, clients.at(DatabaseId::FIRST).database(), exempt);
    text + &format!("To use it:\n  {line}\n")
}
