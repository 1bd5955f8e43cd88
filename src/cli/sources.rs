//! Where `serve`, `run` and `cache fetch` get files from: upstreams for public modules, and private modules.

use super::args::CaseArgs;
use super::exit::Failure;
use crate::base::clock::Clock;
use crate::go::environment::{GoEnv, go_on_path};
use crate::settings::{DirectKeys, Private, Settings};
use crate::store::Store;
use crate::sumdb::Database;
use crate::upstream::{
    AT_ONCE, Credentials, DirectSettings, HttpClient, ProxyList, Router, Scope, Source, Ttls, UpstreamConfig,
    UpstreamPool, trouble_of_root,
};
use gomodule::module::Patterns;

/// The upstreams of the command line or the configuration file.
pub(super) struct SourceConfig {
    /// For public modules.
    pub(super) upstreams: ProxyList,
    private: Vec<(Patterns, Private)>,
}

/// The upstreams of the configuration file replace `upstream`, and its private modules come before `direct`, those of `--private`.
/// `login` is that of `go`, for a command that takes the place of `go`: `upstream` gets it, and those of the file have their own.
pub(super) fn of(
    settings: Settings,
    upstream: &str,
    direct: Patterns,
    case: &CaseArgs,
    login: Option<&Credentials>,
) -> Result<SourceConfig, Failure> {
    let parse = || ProxyList::parse(upstream).map_err(Failure::usage);
    let upstreams = match (settings.proxy_list, login) {
        (Some(upstreams), _) => upstreams,
        (None, Some(login)) => parse()?.as_go(login),
        (None, None) => parse()?,
    };
    let mut private = settings.private;
    if !direct.is_empty() {
        private.push((direct, Private::Direct(DirectKeys::default())));
    }
    let private = private
        .into_iter()
        .map(|(patterns, source)| (patterns.ignoring_case_on(&case.ignore_case_on), source))
        .collect();
    Ok(SourceConfig { upstreams, private })
}

/// Concurrent downloads from all private upstreams together: each occupies a thread (`runtime`). A company has a handful of such
/// upstreams, and 16 have all the places that a public one has.
pub(super) const PRIVATE_AT_ONCE: usize = 16 * AT_ONCE;

impl SourceConfig {
    /// The databases; one without a URL is also reached through the upstreams.
    pub(super) fn reach(&self, databases: Vec<Database>) -> Vec<Database> {
        databases.into_iter().map(|database| database.with_fallbacks(&self.upstreams)).collect()
    }

    /// All patterns of private modules.
    pub(super) fn private(&self) -> Patterns {
        self.private.iter().fold(Patterns::default(), |all, (patterns, _)| all.with(patterns.clone()))
    }

    /// The router of all modules. Logs what prevents an upstream from being used; each request will fail with the same message.
    pub(super) fn router(&self, ttls: Ttls, http: &HttpClient, store: &Store) -> Result<Router, Failure> {
        let failed = |error| Failure::host("set up the upstreams", &error);
        let places = private_places(self.private.len());
        let goauth = self.goauth();
        let own = |(patterns, private): &(Patterns, Private)| {
            let config = match private {
                Private::Proxy(config) => (**config).clone(),
                Private::Direct(keys) => {
                    let settings = DirectSettings::new(store.scratch()?, store.pins().forgotten(), keys.timeout);
                    let settings = DirectSettings {
                        goauth: goauth.clone(),
                        insecure: if keys.insecure { patterns.to_string() } else { String::new() },
                        variables: keys.variables.clone(),
                        ..settings
                    };
                    UpstreamConfig::plain(Source::Direct(settings), false)
                }
            };
            let config = UpstreamConfig { scope: Scope::Private(patterns.clone()), ..config };
            UpstreamPool::with_places(&[config], http, ttls, places, Clock::System).map_err(failed)
        };
        let private = self.private.iter().map(own).collect::<Result<Vec<_>, Failure>>()?;
        for message in self.problems() {
            tracing::warn!("{message}");
        }
        let public = UpstreamPool::new(self.upstreams.upstreams(), http, ttls, Clock::System).map_err(failed)?;
        Ok(Router::new(public, private))
    }

    /// The GOAUTH of `go env`, for version control.
    fn goauth(&self) -> String {
        let is_direct = |(_, private): &(Patterns, Private)| matches!(private, Private::Direct(_));
        let go = if self.private.iter().any(is_direct) { GoEnv::read() } else { Ok(GoEnv::default()) };
        let go = go.unwrap_or_else(|error| {
            tracing::warn!("GOAUTH has its default for private modules: {error}");
            GoEnv::default()
        });
        go.get("GOAUTH").to_owned()
    }

    /// Messages about upstreams that cannot be used, because of something on this machine.
    pub(super) fn problems(&self) -> Vec<String> {
        let proxies = self.private.iter().filter_map(|(_, private)| match private {
            Private::Proxy(config) => Some(&**config),
            Private::Direct(_) => None,
        });
        let problem = |config: &UpstreamConfig| match &config.source {
            Source::Dir(root) => {
                Some(format!("the upstream {} cannot be used: {}", config.source, trouble_of_root(root)?))
            }
            _ => None,
        };
        let mut problems: Vec<String> = self.upstreams.upstreams().iter().chain(proxies).filter_map(problem).collect();
        if self.private.iter().any(|(_, private)| matches!(private, Private::Direct(_))) && go_on_path().is_none() {
            problems
                .push("there is no `go` command on the PATH: private modules cannot be fetched `direct`".to_owned());
        }
        problems
    }
}

/// The concurrent downloads of one of so many private upstreams.
fn private_places(upstreams: usize) -> usize {
    (PRIVATE_AT_ONCE / upstreams.max(1)).clamp(1, AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_upstreams_share_a_bound_and_each_has_some_places() {
        // The settings have at most a hundred.
        for upstreams in 1..=100 {
            let each = private_places(upstreams);
            assert!(each * upstreams <= PRIVATE_AT_ONCE && (10..=AT_ONCE).contains(&each), "{upstreams}: {each}");
        }
        assert_eq!([1, 16, 32, 100].map(private_places), [AT_ONCE, AT_ONCE, 32, 10]);
    }
}
