//! Which sources may receive the name of a module: decided by the name alone, before any request.
//!
//! A private module has a source of its own, an upstream or `direct`; its name goes to no other source, whatever that one
//! answers. All other modules go to the proxy list. Every request needs the [`UpstreamPool`] that [`Router::of`] returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::label::Labels;
use super::pool::{SourceDown, UpstreamPool};
use super::state::SourceState;
use super::times::Ttls;
use crate::telemetry::{Metrics, SourceGauges};
use gomodule::module::{ModulePath, Patterns};

/// All sources. Cheap to clone; clones share health and caches.
#[derive(Clone, Debug)]
pub struct Router {
    public: UpstreamPool,
    private: Arc<[(Patterns, UpstreamPool)]>,
    /// Modules that no database covers.
    exempt: Patterns,
}

impl Router {
    /// `public` is the proxy list. Of the sources of private modules, the first whose patterns match is used.
    pub fn new(public: UpstreamPool, private: Vec<UpstreamPool>) -> Self {
        let private = private.into_iter().map(|pool| (pool.private(), pool)).collect();
        Self { public, private, exempt: Patterns::default() }
    }

    /// The same with these patterns of exempt modules: their sources are asked one after the other.
    pub(crate) fn with_exempt(self, exempt: Patterns) -> Self {
        Self { exempt, ..self }
    }

    /// The sources that may be asked about a module.
    pub fn of(&self, path: &ModulePath) -> UpstreamPool {
        let private = self.private.iter().find(|(patterns, _)| patterns.exempts(path));
        let mut pool = private.map_or(&self.public, |(_, pool)| pool).serving(path);
        pool.hedged = private.is_none() && !self.exempt.exempts(path);
        pool
    }

    /// Counts the requests to each source from now on.
    pub(crate) fn report_to(&self, metrics: &Metrics) {
        let labels = self.labels();
        self.pools().for_each(|pool| pool.report_to(metrics, &labels));
    }

    fn labels(&self) -> Labels {
        Labels::of(self.pools().flat_map(UpstreamPool::configs))
    }

    /// The state of each label. A source that serves several lists is one; if it is down for one of them, it is not available.
    pub(crate) fn gauges(&self) -> Vec<SourceGauges> {
        let (mut all, labels) = (BTreeMap::new(), self.labels());
        for source in self.pools().flat_map(|pool| pool.gauges(&labels)) {
            let known: &mut SourceGauges = all.entry(source.name.clone()).or_insert_with(|| SourceGauges {
                name: source.name.clone(),
                is_available: true,
                waiting: 0,
            });
            known.is_available &= source.is_available;
            known.waiting += source.waiting;
        }
        all.into_values().collect()
    }

    fn pools(&self) -> impl Iterator<Item = &UpstreamPool> {
        std::iter::once(&self.public).chain(self.private.iter().map(|(_, pool)| pool))
    }

    /// Whether there is no source at all.
    pub fn is_empty(&self) -> bool {
        self.public.sources().len() == 0 && self.private.is_empty()
    }

    /// The sources that failed repeatedly and have not answered since.
    pub(crate) fn down(&self) -> Vec<SourceDown> {
        let private = self.private.iter().flat_map(|(_, pool)| pool.down());
        self.public.down().chain(private).collect()
    }

    /// The sources as they are now; those of private modules only if `with_private`.
    pub(crate) fn states(&self, with_private: bool) -> Vec<SourceState> {
        let mut states = self.public.states();
        for (_, pool) in self.private.iter().filter(|_| with_private) {
            states.extend(pool.states());
        }
        states
    }

    /// All patterns of private modules.
    pub fn private(&self) -> Patterns {
        self.private.iter().fold(Patterns::default(), |all, (patterns, _)| all.with(patterns.clone()))
    }

    /// How long metadata is cached.
    pub fn ttls(&self) -> Ttls {
        self.public.ttls()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::base::clock::Clock;
    use crate::upstream::{
        DirectSettings, HttpClient, HttpError, ProxyList, Scope, Source, UpstreamConfig, UpstreamError, UpstreamId,
    };
    use gomodule::proxy_request::Request;

    fn patterns(text: &str) -> Patterns {
        Patterns::parse(text).unwrap()
    }

    fn public(url: &str, serves: &str) -> UpstreamConfig {
        let scope = Scope::Public(patterns(serves));
        UpstreamConfig { scope, ..UpstreamConfig::plain(Source::parse(url).unwrap(), false) }
    }

    fn private(source: Source, of: &str) -> UpstreamPool {
        let config = UpstreamConfig { scope: Scope::Private(patterns(of)), ..UpstreamConfig::plain(source, false) };
        UpstreamPool::new(&[config], &HttpClient::offline(), Ttls::default(), Clock::System).unwrap()
    }

    fn router() -> Router {
        let list = ProxyList::of(vec![public("https://a.example", "corp.example"), public("https://b.example", "")]);
        let public =
            UpstreamPool::new(list.unwrap().upstreams(), &HttpClient::offline(), Ttls::default(), Clock::System);
        let own = private(Source::parse("https://own.example").unwrap(), "corp.example/Secret");
        let direct =
            Source::Direct(DirectSettings::new(std::path::Path::new("/nowhere"), "/nowhere/forgotten".into(), None));
        Router::new(public.unwrap(), vec![own, private(direct, "corp.example/*,golang.org")])
    }

    #[test]
    fn the_name_alone_decides_which_sources_are_asked_about_a_module() {
        let asked = |path: &str| {
            let pool = router().of(&ModulePath::parse(path).unwrap());
            pool.sources().map(|id| pool.name(id)).collect::<Vec<_>>()
        };
        assert_eq!(asked("corp.example/Secret/x"), ["https://own.example"]);
        assert_eq!(asked("corp.example/secret/x"), ["direct"], "case counts, and the first that matches");
        assert_eq!(asked("golang.org/x/text"), ["direct"]);
        assert_eq!(asked("golang.org/toolchain"), ["https://b.example"], "a toolchain is public");
        assert_eq!(asked("corp.example"), ["https://a.example", "https://b.example"]);
        assert_eq!(asked("example.org/x"), ["https://b.example"]);
        assert_eq!(router().private().to_string(), "corp.example/Secret,corp.example/*,golang.org");
    }

    /// `/metrics` is for everybody who reaches the mirror.
    #[test]
    fn no_label_has_the_address_of_a_private_source_or_a_path_of_this_machine() {
        let parse = |url: &str| Source::parse(url).unwrap();
        let list = ProxyList::of(vec![public("https://a.example", ""), public("file:///srv/proxy", "")]).unwrap();
        let public =
            UpstreamPool::new(list.upstreams(), &HttpClient::offline(), Ttls::default(), Clock::System).unwrap();
        let direct =
            Source::Direct(DirectSettings::new(std::path::Path::new("/nowhere"), "/nowhere/forgotten".into(), None));
        let own = ["https://own.example", "file:///srv/own", "https://own.example", "https://a.example"].map(parse);
        let private = own.into_iter().chain([direct]).map(|source| private(source, "corp.example/x"));
        let router = Router::new(public, private.collect());
        let labels = router.gauges().into_iter().map(|gauges| gauges.name).collect::<Vec<_>>();
        assert_eq!(labels, ["direct", "file", "https://a.example", "private-1", "private-2", "private-3"]);
    }

    /// A source has a state for each list.
    #[test]
    fn a_source_that_is_down_for_one_list_is_not_available() {
        let own = |patterns| private(Source::parse("https://own.example").unwrap(), patterns);
        let down = own("corp.example/a");
        for _ in 0..3 {
            let failure = HttpError::Absent { url: String::new(), reason: String::new() };
            down.was_silent(UpstreamId(0), std::time::Duration::ZERO, &failure);
        }
        let public = UpstreamPool::new(&[], &HttpClient::offline(), Ttls::default(), Clock::System).unwrap();
        for private in [vec![down.clone(), own("corp.example/b")], vec![own("corp.example/b"), down]] {
            let [gauges] = &Router::new(public.clone(), private).gauges()[..] else { panic!("one label") };
            assert_eq!((gauges.name.as_str(), gauges.is_available), ("private-1", false));
        }
    }

    #[tokio::test]
    async fn offline_version_control_is_not_asked_either() {
        let pool = router().of(&ModulePath::parse("corp.example/x").unwrap());
        let asked = pool.small(&Request::parse("corp.example/x/@v/list").unwrap(), Ok::<_, String>).await;
        assert!(
            matches!(&asked, Err(UpstreamError::Failed(error)) if error.to_string().contains("offline")),
            "{asked:?}"
        );
    }
}
