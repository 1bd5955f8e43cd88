//! Which of the new versions in a pull request their authors retracted: the upstreams of GOPROXY say so.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;

use super::args::CaseArgs;
use super::config;
use super::exit::Failure;
use super::out;
use super::sources;
use crate::base::clock::Clock;
use crate::finding::{Change, InLog, Retracted};
use crate::go::environment::GoEnv;
use crate::mirror::Prefetch;
use crate::policy::InForce;
use crate::release::Expectations;
use crate::settings::Settings;
use crate::store::Store;
use crate::upstream::{HttpClient, ProxyList, ProxyListError, Ttls};
use gomodule::module::{ModuleVersion, Patterns};

/// New versions about which upstreams are asked. A pull request of a bot has a handful; of the others it is not known. Our own choice.
const MAX_ASKED: usize = 200;
/// Questions at the same time, as browsers have open connections to a host.
const AT_ONCE: usize = 6;
/// All questions together. A list and a go.mod take less than a second each. Our own choice.
const WITHIN: Duration = Duration::from_secs(60);

/// Asks about each version that the checksum database knows: its name is public. Without an upstream it stays unknown.
pub(super) async fn find_retracted(
    changes: &mut [Change],
    go: &GoEnv,
    store: Arc<Store>,
    http: &HttpClient,
    expectations: Expectations,
) -> Result<(), Failure> {
    let upstreams = go.get("GOPROXY");
    if matches!(ProxyList::parse(upstreams), Err(ProxyListError::Empty(_))) {
        return Ok(());
    }
    let case = CaseArgs { ignore_case_on: Vec::new() };
    let login = config::go_login(go);
    let sources = sources::of(Settings::default(), upstreams, Patterns::default(), &case, Some(&login))?;
    // Does not wait for records that are not in the log yet.
    let ttls = Ttls { hold: Some(Duration::ZERO), ..Ttls::default() };
    let router = sources.router(ttls, http, &store)?;
    let prefetch = &Prefetch::new(store, router, expectations, InForce::default(), Clock::System);
    // Those that `go` itself would not ask a proxy about.
    let direct = &config::go_patterns(go, "GONOPROXY");
    let asked = changes.iter_mut().filter(|change| matches!(change.in_log, InLog::Record { .. }));
    let all = stream::iter(asked.take(MAX_ASKED)).for_each_concurrent(AT_ONCE, |change| ask(prefetch, direct, change));
    if timeout(WITHIN, all).await.is_err() {
        out::message(&format!(
            "the upstreams did not say in {} seconds which versions are retracted",
            WITHIN.as_secs()
        ));
    }
    Ok(())
}

async fn ask(prefetch: &Prefetch, direct: &Patterns, change: &mut Change) {
    let is_asked = |module: &&ModuleVersion| !module.path.is_toolchain() && !direct.exempts(&module.path);
    let Some(module) = change.taken.as_ref().filter(is_asked) else { return };
    change.retracted = match prefetch.retracted(module).await {
        Ok(Some(why)) => Retracted::Yes(why),
        Ok(None) => Retracted::No,
        Err(_) => Retracted::NotKnown,
    };
}
