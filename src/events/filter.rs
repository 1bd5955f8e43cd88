//! Which events a report has.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use super::event::{Event, Outcome};
use crate::base::toml_file::patterns;
use gomodule::module::{ModulePath, Patterns};

/// An event must match every part that is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) since: Option<Timestamp>,
    pub(crate) module: Option<Patterns>,
    pub(crate) version: Option<String>,
    pub(crate) client: Option<IpNet>,
    /// One of these, if there are any; the same for `code`.
    pub(crate) outcome: Vec<Outcome>,
    pub(crate) code: Vec<String>,
    pub(crate) request: Option<String>,
}

/// Patterns of module paths, or one version of what they match.
#[derive(Clone, Debug)]
pub(crate) struct WantedModule {
    pub(crate) patterns: Patterns,
    pub(crate) version: Option<String>,
}

impl WantedModule {
    /// Reads `PATTERNS` or `PATTERNS@VERSION`; the error says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
        let patterns = patterns(path).map_err(|error| error.to_string())?;
        Ok(Self { patterns, version: version.map(str::to_owned) })
    }
}

impl Filter {
    /// Reads the address of a client or a network; the error says what was expected.
    pub(crate) fn client_of(text: &str) -> Result<IpNet, String> {
        let one = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        one.or_else(|_| text.parse()).map_err(|_| "expected an IP address, or a network such as 10.0.0.0/8".to_owned())
    }

    pub(crate) fn matches(&self, event: &Event) -> bool {
        let facts = &event.facts;
        let is_module = |patterns: &Patterns| {
            let path = facts.module.as_deref().and_then(|module| ModulePath::parse(module).ok());
            path.is_some_and(|path| patterns.exempts(&path))
        };
        self.since.is_none_or(|since| event.time >= since)
            && self.module.as_ref().is_none_or(is_module)
            && self.version.as_ref().is_none_or(|version| facts.version.as_ref() == Some(version))
            && self.client.is_none_or(|network| event.client.is_some_and(|client| contains(network, client)))
            && (self.outcome.is_empty() || self.outcome.contains(&facts.outcome))
            && (self.code.is_empty() || facts.code.as_ref().is_some_and(|code| self.code.contains(code)))
            && self.request.as_ref().is_none_or(|request| event.request.as_ref() == Some(request))
    }
}

fn contains(network: IpNet, client: IpAddr) -> bool {
    network.contains(&client.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;
    use std::time::SystemTime;

    use super::super::event::Facts;
    use super::*;

    #[test]
    fn every_part_must_match() {
        let text = |text: &str| Some(text.to_owned());
        let facts = Facts {
            outcome: Outcome::Refused,
            module: text("example.com/a/b"),
            version: text("v1.0.0"),
            code: text("wrong-bytes"),
            ..Facts::default()
        };
        let event = Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts));
        let event = Event { request: text("0a"), client: Some("::ffff:10.0.0.7".parse().unwrap()), ..event };
        let all = Filter {
            since: Some(Timestamp::UNIX_EPOCH),
            module: Some(Patterns::parse("example.com/a").unwrap()),
            version: text("v1.0.0"),
            client: Some("10.0.0.0/24".parse().unwrap()),
            outcome: vec![Outcome::Released, Outcome::Refused],
            code: vec!["wrong-bytes".to_owned()],
            request: text("0a"),
        };
        assert!(all.matches(&event) && Filter::default().matches(&event));
        for other in [
            Filter { since: Some("1970-01-01T00:00:01Z".parse().unwrap()), ..all.clone() },
            Filter { module: Some(Patterns::parse("example.com/b").unwrap()), ..all.clone() },
            Filter { version: text("v1.0.1"), ..all.clone() },
            Filter { client: Some("10.0.1.0/24".parse().unwrap()), ..all.clone() },
            Filter { outcome: vec![Outcome::Released], ..all.clone() },
            Filter { code: vec!["no-record".to_owned()], ..all.clone() },
            Filter { request: text("0b"), ..all },
        ] {
            assert!(!other.matches(&event), "{other:?}");
        }
        let bare = Event::at(SystemTime::UNIX_EPOCH, Arc::default());
        let client = Filter { client: Some("0.0.0.0/0".parse().unwrap()), ..Filter::default() };
        assert!(!client.matches(&bare) && Filter::default().matches(&bare));
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        for (text, shown) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(Filter::client_of(text).map(|network| network.to_string()), Ok(shown.to_owned()));
        }
        assert!(Filter::client_of("localhost").is_err());
    }
}
