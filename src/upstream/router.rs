//! Which sources may hear of a module: decided by its name alone, before anything is asked.
//!
//! A private module has a source of its own, its upstream or `direct`, and nobody else is asked about it, whatever that
//! source answers. All others go to the chain. Whoever wants to ask has to come by here for an [`UpstreamPool`], with the path as
//! `go` matches it: unescaped (`go help private`).

use std::sync::Arc;

use super::pool::UpstreamPool;
use super::times::Ttls;
use gomodule::module::{ModulePath, Patterns};

/// All sources. Cheap to clone; clones share what was learned.
#[derive(Clone, Debug)]
pub struct Router {
    public: UpstreamPool,
    private: Arc<[(Patterns, UpstreamPool)]>,
}

impl From<UpstreamPool> for Router {
    /// One chain for every module.
    fn from(public: UpstreamPool) -> Self {
        Self { public, private: Arc::default() }
    }
}

impl Router {
    /// The chain, and the sources of private modules: the first whose patterns match counts.
    pub fn new(public: UpstreamPool, private: Vec<(Patterns, UpstreamPool)>) -> Self {
        Self { public, private: private.into() }
    }

    /// The sources that may be asked about a module.
    pub fn of(&self, path: &ModulePath) -> UpstreamPool {
        // Toolchains are public, whatever the patterns say, as for the database.
        let own = self.private.iter().find(|(patterns, _)| patterns.exempts(path));
        own.map_or_else(|| self.public.serving(path), |(_, origin)| origin.clone())
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.public.sources().len() == 0 && self.private.is_empty()
    }

    /// All patterns of private modules.
    pub fn private(&self) -> Patterns {
        self.private.iter().fold(Patterns::default(), |all, (patterns, _)| all.with(patterns.clone()))
    }

    /// How long what cannot be proved is believed.
    pub fn ttls(&self) -> Ttls {
        self.public.ttls()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::upstream::{DirectSettings, HttpClient, ProxyList, Source, UpstreamConfig, UpstreamError};
    use gomodule::proxy_request::Request;

    fn patterns(text: &str) -> Patterns {
        Patterns::parse(text).unwrap()
    }

    fn link(url: &str, serves: &str) -> UpstreamConfig {
        UpstreamConfig { serves: patterns(serves), ..UpstreamConfig::plain(Source::parse(url).unwrap(), false) }
    }

    fn sources() -> Router {
        let (http, waits) = (HttpClient::offline(), Ttls::default());
        let chain =
            ProxyList::of(vec![link("https://a.example", "corp.example"), link("https://b.example", "")]).unwrap();
        let own = UpstreamPool::alone(link("https://own.example", ""), &http, waits).unwrap();
        let of_direct = patterns("corp.example/*,golang.org");
        let direct = Source::Direct(DirectSettings::new(std::path::Path::new("/nowhere"), None, of_direct.clone()));
        let direct = UpstreamPool::alone(UpstreamConfig::plain(direct, false), &http, waits).unwrap();
        let private = vec![(patterns("corp.example/Secret"), own), (of_direct, direct)];
        Router::new(UpstreamPool::new(&chain, &http, waits).unwrap(), private)
    }

    #[test]
    fn the_name_alone_decides_who_hears_of_a_module() {
        let asked = |path: &str| {
            let origin = sources().of(&ModulePath::parse(path).unwrap());
            origin.sources().map(|id| origin.name(id)).collect::<Vec<_>>()
        };
        assert_eq!(asked("corp.example/Secret/x"), ["https://own.example"]);
        assert_eq!(asked("corp.example/secret/x"), ["direct"], "case counts, and the first that matches");
        assert_eq!(asked("golang.org/x/text"), ["direct"]);
        assert_eq!(asked("golang.org/toolchain"), ["https://b.example"], "a toolchain is public");
        assert_eq!(asked("corp.example"), ["https://a.example", "https://b.example"]);
        assert_eq!(asked("example.org/x"), ["https://b.example"]);
        assert_eq!(sources().private().to_string(), "corp.example/Secret,corp.example/*,golang.org");
    }

    #[tokio::test]
    async fn where_nothing_may_be_dialled_version_control_is_not_asked_either() {
        let origin = sources().of(&ModulePath::parse("corp.example/x").unwrap());
        let asked = origin.small(&Request::parse("corp.example/x/@v/list").unwrap(), Ok::<_, String>).await;
        assert!(
            matches!(&asked, Err(UpstreamError::Failed(error)) if error.to_string().contains("offline")),
            "{asked:?}"
        );
    }
}
