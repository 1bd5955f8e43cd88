//! Which sources may hear of a module: decided by its name alone, before anything is asked.
//!
//! A private module has a source of its own, its upstream or `direct`, and nobody else is asked about it, whatever that
//! source answers. All others go to the chain. Whoever wants to ask has to come by here for an [`Origin`], with the path as
//! `go` matches it: unescaped (`go help private`).

use std::sync::Arc;

use super::fetch::Origin;
use super::times::Waits;
use gomodule::module::{ModulePath, Patterns};

/// All sources. Cheap to clone; clones share what was learned.
#[derive(Clone, Debug)]
pub struct Sources {
    public: Origin,
    private: Arc<[(Patterns, Origin)]>,
}

impl From<Origin> for Sources {
    /// One chain for every module.
    fn from(public: Origin) -> Self {
        Self { public, private: Arc::default() }
    }
}

impl Sources {
    /// The chain, and the sources of private modules: the first whose patterns match counts.
    pub fn new(public: Origin, private: Vec<(Patterns, Origin)>) -> Self {
        Self { public, private: private.into() }
    }

    /// The sources that may be asked about a module.
    pub fn of(&self, path: &ModulePath) -> Origin {
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
    pub fn waits(&self) -> Waits {
        self.public.waits()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::upstream::{Chain, DirectSettings, HttpClient, Link, OriginError, Source};
    use gomodule::proxy_request::Request;

    fn patterns(text: &str) -> Patterns {
        Patterns::parse(text).unwrap()
    }

    fn link(url: &str, serves: &str) -> Link {
        Link { serves: patterns(serves), ..Link::plain(Source::parse(url).unwrap(), false) }
    }

    fn sources() -> Sources {
        let (http, waits) = (HttpClient::offline(), Waits::default());
        let chain = Chain::of(vec![link("https://a.example", "corp.example"), link("https://b.example", "")]).unwrap();
        let own = Origin::alone(link("https://own.example", ""), &http, waits).unwrap();
        let of_direct = patterns("corp.example/*,golang.org");
        let direct = Source::Direct(DirectSettings::new(std::path::Path::new("/nowhere"), None, of_direct.clone()));
        let direct = Origin::alone(Link::plain(direct, false), &http, waits).unwrap();
        let private = vec![(patterns("corp.example/Secret"), own), (of_direct, direct)];
        Sources::new(Origin::new(&chain, &http, waits).unwrap(), private)
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
            matches!(&asked, Err(OriginError::Failed(error)) if error.to_string().contains("offline")),
            "{asked:?}"
        );
    }
}
