//! Where `sumgate serve` and `sumgate cache fetch` get files from: the chain for what is public, and what is private.

use std::path::Path;

use super::exit::Failure;
use super::{config, serve_file};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::go::environment::go_on_path;
use crate::settings::{Private, Settings};
use crate::store::Store;
use crate::upstream::{
    DirectSettings, HttpClient, ProxyList, Router, Scope, Source, Ttls, UpstreamConfig, UpstreamPool, trouble_of_root,
};
use gomodule::module::Patterns;

/// What is said of sources, on the command line and in the file.
pub(super) struct SourceConfig {
    /// The upstreams.
    pub(super) chain: ProxyList,
    private: Vec<(Patterns, Private)>,
}

/// Reads what is said of sources; the file's upstreams count, if it names some, and its private modules come before those
/// that come `direct`.
pub(super) fn said(config: Option<&Path>, upstream: &str, direct: Patterns) -> Result<SourceConfig, Failure> {
    let settings = config.map(read).transpose()?.unwrap_or_default();
    let chain = match settings.proxy_list {
        Some(chain) => chain,
        None => ProxyList::parse(upstream).map_err(Failure::usage)?,
    };
    let mut private = settings.private;
    if !direct.is_empty() {
        private.push((direct, Private::Direct(None)));
    }
    Ok(SourceConfig { chain, private })
}

fn read(path: &Path) -> Result<Settings, Failure> {
    let text = config::read_file("configuration", path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    serve_file::flags(&text, folder)
        .and_then(|_| Settings::read(&text, folder))
        .map_err(|wrong| Failure::new(Fault::Request, config::complaints_of(path, wrong).join("\n")))
}

impl SourceConfig {
    /// All patterns of private modules.
    pub(super) fn private(&self) -> Patterns {
        self.private.iter().fold(Patterns::default(), |all, (patterns, _)| all.with(patterns.clone()))
    }

    /// The sources of every module.
    pub(super) fn sources(&self, waits: Ttls, http: &HttpClient, store: &Store) -> Result<Router, Failure> {
        let failed = |error| Failure::host("set up the upstreams", &error);
        let own = |(patterns, private): &(Patterns, Private)| {
            let link = match private {
                Private::Proxy(link) => (**link).clone(),
                Private::Direct(patience) => {
                    let settings = DirectSettings::new(store.scratch()?, *patience);
                    UpstreamConfig::plain(Source::Direct(settings), false)
                }
            };
            let config = UpstreamConfig { scope: Scope::Private(patterns.clone()), ..link };
            UpstreamPool::new(&[config], http, waits, Clock::System).map_err(failed)
        };
        let private = self.private.iter().map(own).collect::<Result<Vec<_>, Failure>>()?;
        if self.private.iter().any(|(_, private)| matches!(private, Private::Direct(_))) && go_on_path().is_none() {
            // Every request for them will be answered with that, too.
            tracing::warn!("there is no `go` command on the PATH: private modules cannot be fetched `direct`");
        }
        let proxies = self.private.iter().filter_map(|(_, private)| match private {
            Private::Proxy(link) => Some(&**link),
            Private::Direct(_) => None,
        });
        for why in troubles(self.chain.upstreams().iter().chain(proxies)) {
            // Every request will be answered with that, too.
            tracing::warn!("{why}");
        }
        Ok(Router::new(UpstreamPool::new(self.chain.upstreams(), http, waits, Clock::System).map_err(failed)?, private))
    }
}

/// What is wrong with folders that are sources.
pub(super) fn troubles<'a>(links: impl IntoIterator<Item = &'a UpstreamConfig>) -> impl Iterator<Item = String> {
    let trouble = |source: &Source| match source {
        Source::Dir(root) => Some(format!("the upstream {source} cannot be used: {}", trouble_of_root(root)?)),
        _ => None,
    };
    links.into_iter().filter_map(move |link| trouble(&link.source))
}
