//! The configuration file of `serve`: upstreams and private modules, with settings that GOPROXY has no syntax for. The result has
//! the logins in it, or the errors are all reported, each with its place.
//!
//! Secrets are in files and environment variables that the settings name, never in the settings.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::{Spanned, Value};
use url::Url;

use crate::base::duration;
use crate::base::toml_file::{self, Diagnostics, Reader, Text, patterns};
use crate::upstream::{
    Credentials, Login, LoginError, ProxyList, Scope, Secret, Source, Timeouts, UpstreamConfig, may_log_in, may_pass_on,
};
use gomodule::module::Patterns;

/// More than a company has servers; each request compares its path with all of them.
const MAX_PRIVATE: usize = 100;
/// A source of this weight counts as a thousand times faster.
const MAX_WEIGHT: u16 = 1000;

/// A year: more than any timeout or TTL needs, and less than the thousand years that overflow a cache.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The upstreams, if the file has some.
    pub proxy_list: Option<ProxyList>,
    /// Private modules and their sources; the first match is used.
    pub private: Vec<(Patterns, Private)>,
}

/// The source of private modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Private {
    /// A proxy of their own.
    Proxy(Box<UpstreamConfig>),
    /// Version control.
    Direct(DirectKeys),
}

/// The settings of version control.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectKeys {
    /// The timeout, if not the default.
    pub timeout: Option<Duration>,
    /// Variables that `go` and git get too.
    pub variables: Vec<String>,
    /// `go` accepts any certificate of the hosts of these modules, and plain http.
    pub insecure: bool,
}

/// Reads the secret of a login for a URL.
type Secrets<'a> = &'a dyn Fn(&Login, &Url) -> Result<Credentials, LoginError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Flags of `serve`: `cli/serve_file` reads and checks them.
    #[serde(default, rename = "serve")]
    _serve: IgnoredAny,
    #[serde(default)]
    upstream: Vec<Spanned<Table>>,
    #[serde(default)]
    private: Vec<Spanned<Table>>,
}

/// The keys of `[[upstream]]` and `[[private]]`. They have one shape, because serde cannot flatten a table that refuses unknown
/// keys (<https://serde.rs/container-attrs.html#deny_unknown_fields>).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    url: Option<Text>,
    /// Of `[[upstream]]` only, as the next two.
    serves: Option<Text>,
    on_any_failure: Option<Spanned<bool>>,
    weight: Option<Spanned<i64>>,
    /// Of `[[private]]` only, as the next four.
    patterns: Option<Text>,
    direct: Option<Spanned<bool>>,
    /// With `direct` only, as the next one.
    env: Option<Spanned<Vec<Text>>>,
    insecure: Option<Spanned<bool>>,
    netrc: Option<Spanned<bool>>,
    /// `true`, or the text of a GOAUTH.
    goauth: Option<Spanned<Value>>,
    token_file: Option<Text>,
    token_env: Option<Text>,
    user: Option<Text>,
    password_file: Option<Text>,
    password_env: Option<Text>,
    connect: Option<Text>,
    first_byte: Option<Text>,
    stall: Option<Text>,
    whole: Option<Text>,
    redirects_inside: Option<Spanned<bool>>,
}

impl Table {
    /// The keys of a login, except `netrc` and `goauth`.
    fn login_texts(&self) -> impl Iterator<Item = &Text> {
        [&self.token_file, &self.token_env, &self.user, &self.password_file, &self.password_env].into_iter().flatten()
    }
}

fn start<T>(value: &Spanned<T>) -> usize {
    value.span().start
}

fn is_set(flag: Option<&Spanned<bool>>) -> bool {
    flag.is_some_and(|flag| *flag.get_ref())
}

impl Settings {
    /// Reads settings. Relative paths in them start at `folder`.
    pub fn read(text: &str, folder: &Path) -> Result<Self, Diagnostics> {
        Self::read_with(text, folder, &|login, url| login.read(url))
    }

    /// The same, with another way to read secrets.
    pub(crate) fn read_with(text: &str, folder: &Path, secrets: Secrets<'_>) -> Result<Self, Diagnostics> {
        toml_file::read(text, "configuration", |reader, file: &File| {
            let mut tables = Tables { reader, folder, secrets };
            let upstreams: Vec<UpstreamConfig> = file.upstream.iter().filter_map(|one| tables.upstream(one)).collect();
            // The errors of an invalid table are reported already.
            let is_complete = upstreams.len() == file.upstream.len() && !upstreams.is_empty();
            let proxy_list = is_complete.then(|| ProxyList::of(upstreams)).transpose().unwrap_or_else(|error| {
                tables.reader.report(file.upstream.last().map_or(0, start), error.to_string());
                None
            });
            if let Some(one) = file.private.get(MAX_PRIVATE) {
                tables.reader.report(start(one), format!("expected at most {MAX_PRIVATE} [[private]], found more"));
            }
            let private = file.private.iter().filter_map(|one| tables.private(one)).collect();
            Self { proxy_list, private }
        })
    }
}

/// Converts tables, and reports their errors to `reader`.
struct Tables<'a, 't> {
    reader: &'a mut Reader<'t>,
    folder: &'a Path,
    secrets: Secrets<'a>,
}

impl Tables<'_, '_> {
    fn upstream(&mut self, table: &Spanned<Table>) -> Option<UpstreamConfig> {
        let (at, table) = (start(table), table.get_ref());
        self.refuse(
            "[[upstream]]",
            [
                ("patterns", table.patterns.as_ref().map(start)),
                ("direct", table.direct.as_ref().map(start)),
                ("env", table.env.as_ref().map(start)),
                ("insecure", table.insecure.as_ref().map(start)),
            ],
        );
        let serves =
            table.serves.as_ref().map_or(Some(Patterns::default()), |text| self.reader.checked(text, patterns));
        let weight = table.weight.as_ref().map_or(Ok(1), |weight| u16::try_from(*weight.get_ref()));
        let weight = weight.ok().filter(|weight| (1..=MAX_WEIGHT).contains(weight));
        if let Some(at) = table.weight.as_ref().map(start).filter(|_| weight.is_none()) {
            let words = format!("expected a weight from 1 to {MAX_WEIGHT}: twice the weight counts as half the time");
            self.reader.report(at, words);
        }
        if table.url.is_none() {
            self.reader.report(at, "the upstream has no url: add url = \"https://…\"");
        }
        let config = self.proxy(table.url.as_ref()?, table)?;
        let on_any_failure = is_set(table.on_any_failure.as_ref());
        Some(UpstreamConfig { on_any_failure, scope: Scope::Public(serves?), weight: weight?, ..config })
    }

    fn private(&mut self, table: &Spanned<Table>) -> Option<(Patterns, Private)> {
        let (at, table) = (start(table), table.get_ref());
        let weight = ("weight", table.weight.as_ref().map(start));
        let on_any_failure = ("on-any-failure", table.on_any_failure.as_ref().map(start));
        self.refuse("[[private]]", [("serves", table.serves.as_ref().map(start)), on_any_failure, weight]);
        if table.patterns.is_none() {
            self.reader.report(at, "the private modules have no patterns: add patterns = \"example.com/*\"");
        }
        let patterns = table.patterns.as_ref().and_then(|text| self.reader.checked(text, patterns));
        let private = match (&table.url, is_set(table.direct.as_ref())) {
            (Some(url), false) => {
                self.refuse(
                    "[[private]] with a url",
                    [("env", table.env.as_ref().map(start)), ("insecure", table.insecure.as_ref().map(start))],
                );
                Private::Proxy(Box::new(self.proxy(url, table)?))
            }
            (None, true) => Private::Direct(self.direct(table)),
            _ => {
                self.reader.report(at, "expected either url = \"https://…\" or direct = true");
                return None;
            }
        };
        Some((patterns?, private))
    }

    /// Reports the keys that belong to the other kind of table, at the places where they are set.
    fn refuse<const N: usize>(&mut self, table: &str, keys: [(&str, Option<usize>); N]) {
        for (key, at) in keys {
            if let Some(at) = at {
                self.reader.report(at, format!("{table} has no key `{key}`"));
            }
        }
    }

    fn direct(&mut self, table: &Table) -> DirectKeys {
        let timeouts = [&table.connect, &table.first_byte, &table.stall].into_iter().flatten().map(start);
        let others = table.netrc.as_ref().map(start).into_iter().chain(table.goauth.as_ref().map(start));
        if let Some(at) = timeouts.chain(table.login_texts().map(start)).chain(others).min() {
            self.reader
                .report(at, "with direct = true, `go` and git have their own logins, and whole is the only timeout");
        }
        if let Some(at) = table.redirects_inside.as_ref().map(start) {
            self.reader.report(at, "redirects-inside needs a url: `go` and git follow their own rules");
        }
        let timeout = table.whole.as_ref().and_then(|whole| self.reader.checked(whole, positive_duration));
        let names = table.env.iter().flat_map(Spanned::get_ref);
        let variables = names.filter_map(|name| self.reader.checked(name, may_pass_on)).collect();
        DirectKeys { timeout, variables, insecure: is_set(table.insecure.as_ref()) }
    }

    fn proxy(&mut self, url: &Text, table: &Table) -> Option<UpstreamConfig> {
        let timeouts = self.timeouts(table);
        let source = self.reader.checked(url, Source::parse)?;
        let credentials = match (self.login(table).ok()?, &source) {
            (None, _) => None,
            (Some((at, login)), Source::Http(address)) => {
                if !address.username().is_empty() || address.password().is_some() {
                    self.reader.report(start(url), "credentials given twice: in the URL and in the table");
                    return None;
                }
                if !may_log_in(address) {
                    self.reader.report(at, "a login is not sent over plain http: make the URL https");
                    return None;
                }
                let credentials = (self.secrets)(&login, address);
                Some(credentials.map_err(|error| self.reader.report(at, error.to_string())).ok()?)
            }
            (Some((at, _)), _) => {
                self.reader.report(at, "a folder needs no login");
                return None;
            }
        };
        let redirects_inside = is_set(table.redirects_inside.as_ref());
        Some(UpstreamConfig { timeouts, credentials, redirects_inside, ..UpstreamConfig::plain(source, false) })
    }

    /// The login of a table and its place, if it has one. An error is reported already.
    fn login(&mut self, table: &Table) -> Result<Option<(usize, Login)>, ()> {
        let secret = |file: Option<&Text>, variable: Option<&Text>| {
            let file = file.map(|path| Secret::File(self.folder.join(path.get_ref())));
            file.or_else(|| variable.map(|name| Secret::Variable(name.get_ref().clone())))
        };
        let netrc = table.netrc.as_ref().filter(|netrc| *netrc.get_ref());
        let goauth = match table.goauth.as_ref().map(|goauth| (start(goauth), goauth.get_ref())) {
            None | Some((_, Value::Boolean(false))) => None,
            Some((at, Value::Boolean(true))) => Some((at, None)),
            Some((at, Value::String(text))) => Some((at, Some(text.clone()))),
            Some((at, _)) => {
                self.reader.report(at, "expected true, for the value of `go env GOAUTH`, or a text such as \"netrc\"");
                return Err(());
            }
        };
        let flags = netrc.map(start).into_iter().chain(goauth.as_ref().map(|(at, _)| *at));
        let Some(at) = table.login_texts().map(start).chain(flags).min() else { return Ok(None) };
        let texts = table.login_texts().count();
        let tokens = [&table.token_file, &table.token_env].into_iter().flatten().count();
        let login = match (netrc.is_some(), texts, tokens, &table.user) {
            (false, 0, ..) => goauth.map(|(_, value)| Login::GoAuth(value)),
            _ if goauth.is_some() => None,
            (true, 0, ..) => Some(Login::Netrc),
            (false, 1, 1, None) => secret(table.token_file.as_ref(), table.token_env.as_ref()).map(Login::Bearer),
            (false, 2, 0, Some(user)) if !user.get_ref().contains(':') => {
                let password = secret(table.password_file.as_ref(), table.password_env.as_ref());
                password.map(|password| Login::Basic { user: user.get_ref().clone(), password })
            }
            _ => None,
        };
        if login.is_none() {
            let words = "expected one login: netrc = true; or goauth = true; or token-file or token-env; or user (without a \
                         colon) with password-file or password-env";
            self.reader.report(at, words);
        }
        login.map(|login| Some((at, login))).ok_or(())
    }

    /// The timeouts, if one differs from the default.
    fn timeouts(&mut self, table: &Table) -> Option<Timeouts> {
        let mut or = |text: &Option<Text>, default| {
            text.as_ref().and_then(|text| self.reader.checked(text, positive_duration)).unwrap_or(default)
        };
        let defaults = Timeouts::default();
        let timeouts = Timeouts {
            connect: or(&table.connect, defaults.connect),
            first_byte: or(&table.first_byte, defaults.first_byte),
            stall: or(&table.stall, defaults.stall),
            whole: or(&table.whole, defaults.whole),
        };
        (timeouts != defaults).then_some(timeouts)
    }
}

/// Why a text is not a valid duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("{0:?} is not a valid duration: expected a value such as 60s, 5m or 24h")]
    Malformed(String),
    #[error("{0:?} is longer than a year")]
    TooLong(String),
    #[error("must be greater than zero")]
    Zero,
}

/// A duration that is not zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, DurationError> {
    duration(text).and_then(|length| if length.is_zero() { Err(DurationError::Zero) } else { Ok(length) })
}

/// A duration such as `60s`, `1m 30s` or `24h`.
pub(crate) fn duration(text: &str) -> Result<Duration, DurationError> {
    let length = duration::duration(text).ok_or_else(|| DurationError::Malformed(text.to_owned()))?;
    if length > LONGEST { Err(DurationError::TooLong(text.to_owned())) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;

    fn read(text: &str) -> Result<Settings, Diagnostics> {
        let secret = |login: &Login, url: &Url| match login {
            Login::Bearer(Secret::Variable(name)) if name == "ABSENT" => {
                Err(Secret::Variable(name.clone()).invalid("is not set"))
            }
            Login::Bearer(Secret::File(path)) => Login::Bearer(Secret::File(path.clone())).read(url),
            _ => Login::Bearer(Secret::Variable("PATH".to_owned())).read(url),
        };
        Settings::read_with(text, Path::new("/nowhere"), &secret)
    }

    #[test]
    fn every_key_is_read() {
        let settings = read(
            "[[upstream]]\nurl = \"https://a.example/go/\"\nserves = \"*.corp.example, github.com/our\"\nweight = 2\n\
             on-any-failure = true\nuser = \"me\"\npassword-env = \"X\"\nconnect = \"2s\"\nwhole = \"1h\"\n\
             redirects-inside = true\n[[upstream]]\nurl = \"https://proxy.golang.org\"\n\
             [[private]]\npatterns = \"corp.example/secret\"\ndirect = true\nwhole = \"2m\"\n\
             env = [\"CI_TOKEN\"]\ninsecure = true\n[[private]]\npatterns = \"corp.example\"\nurl = \"https://b.example\"\ntoken-env = \"X\"\n\
             redirects-inside = true\n",
        )
        .unwrap();
        let list = settings.proxy_list.unwrap();
        assert_eq!(list.to_string(), "https://a.example/go|https://proxy.golang.org");
        let first = &list.upstreams()[0];
        let serves = Scope::Public(Patterns::parse("*.corp.example,github.com/our").unwrap());
        assert_eq!((&first.scope, first.weight), (&serves, 2));
        assert!(first.credentials.is_some() && first.redirects_inside);
        let usual = Timeouts::default();
        let times = Timeouts { connect: Duration::from_secs(2), whole: Duration::from_secs(3600), ..usual };
        assert_eq!(first.timeouts, Some(times));
        assert_eq!(
            list.upstreams()[1],
            UpstreamConfig::plain(Source::parse("https://proxy.golang.org").unwrap(), false)
        );
        assert_eq!(settings.private.len(), 2);
        let (timeout, variables) = (Some(Duration::from_secs(2 * 60)), vec!["CI_TOKEN".to_owned()]);
        let direct = DirectKeys { timeout, variables, insecure: true };
        assert_eq!(settings.private[0].1, Private::Direct(direct));
        assert!(
            matches!(&settings.private[1].1, Private::Proxy(proxy) if proxy.credentials.is_some() && proxy.redirects_inside)
        );
        assert_eq!(read("").unwrap(), Settings::default());
    }

    #[test]
    fn every_error_is_reported_with_its_place() {
        for (text, expected) in [
            ("[[upstream]]\nurl = \"https://a.example\"\nurls = 1\n", "3:1: unknown key `urls`: did you mean `url`?"),
            ("[[upstream]]\nweight = 2\n", "1:1: the upstream has no url"),
            ("[[private]]\ndirect = true\n", "1:1: the private modules have no patterns"),
            ("[[upstream]]\nurl = \"https://a.example\"\ndirect = true\n", "3:10: [[upstream]] has no key `direct`"),
            (
                "[[private]]\npatterns = \"a.example\"\ndirect = true\nweight = 2\n",
                "4:10: [[private]] has no key `weight`",
            ),
            ("[[upstreams]]\n", "1:3: unknown key `upstreams`: did you mean `upstream`?"),
            ("[[upstream]]\nurl = \"proxy\"\n", "2:7: the upstream \"proxy\" is not a URL"),
            (
                "[[upstream]]\nurl = \"http://a.example\"\ntoken-env = \"X\"\n",
                "3:13: a login is not sent over plain http",
            ),
            (
                "[[upstream]]\nurl = \"http://me:word@a.example\"\n",
                "2:7: the upstream \"http://a.example\" has a login",
            ),
            (
                "[[private]]\npatterns = \"a.example\"\nurl = \"http://a.example\"\nnetrc = true\n",
                "4:9: a login is not sent",
            ),
            (
                "[[private]]\npatterns = \"a.example\"\ndirect = true\nredirects-inside = true\n",
                "4:20: redirects-inside needs a url",
            ),
            ("[[upstream]]\nurl = \"file:///go\"\ntoken-env = \"X\"\n", "3:13: a folder needs no login"),
            ("[[upstream]]\nurl = \"https://a.example\"\ntoken-env = \"ABSENT\"\n", "3:13: the variable ABSENT"),
            ("[[upstream]]\nurl = \"https://a.example\"\ntoken-file = \"t\"\n", "3:14: cannot read /nowhere/t"),
            ("[[upstream]]\nurl = \"https://a.example\"\nuser = \"me\"\n", "3:8: expected one login"),
            ("[[upstream]]\nurl = \"https://a.example\"\nnetrc = true\ntoken-env = \"X\"\n", "3:9: expected one login"),
            ("[[upstream]]\nurl = \"https://a.example\"\nserves = \"a b\"\n", "3:10: separate patterns by commas"),
            ("[[upstream]]\nurl = \"https://a.example\"\nweight = 0\n", "3:10: expected a weight from 1 to 1000"),
            ("[[upstream]]\nurl = \"https://a.example\"\nstall = \"soon\"\n", "3:9: \"soon\" is not a valid duration"),
            ("[[upstream]]\nurl = \"https://a.example\"\nwhole = \"0s\"\n", "3:9: must be greater than zero"),
            (
                "[[upstream]]\nurl = \"https://a.example\"\nwhole = \"9000000h\"\n",
                "3:9: \"9000000h\" is longer than a year",
            ),
            ("[[private]]\npatterns = \"a.example\"\n", "1:1: expected either url"),
            (
                "[[private]]\npatterns = \"a.example\"\nurl = \"https://b.example\"\ndirect = true\n",
                "1:1: expected either",
            ),
            ("[[private]]\npatterns = \"\"\ndirect = true\n", "2:12: name at least one module pattern"),
            (
                "[[private]]\npatterns = \"a.example\"\ndirect = true\ntoken-env = \"X\"\n",
                "4:13: with direct = true, `go` and git",
            ),
            (
                "[[private]]\npatterns = \"a.example\"\ndirect = true\nconnect = \"1s\"\n",
                "4:11: with direct = true, `go` and git",
            ),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{text}: {told}");
        }
        let two = read("[[upstream]]\nurl = \"x\"\n[[upstream]]\nurl = \"y\"\n").unwrap_err().to_string();
        assert_eq!(two.lines().count(), 2, "{two}");
    }

    #[test]
    fn variables_and_insecure_hosts_are_of_version_control() {
        for (text, expected) in [
            (
                "[[private]]\npatterns = \"a.example\"\ndirect = true\nenv = [\"A\", \"GOPROXY\"]\n",
                "4:13: this variable is set by the mirror",
            ),
            (
                "[[private]]\npatterns = \"a.example\"\nurl = \"https://a.example\"\ninsecure = true\n",
                "4:12: [[private]] with a url has no key `insecure`",
            ),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{text}: {told}");
        }
    }

    #[test]
    fn a_goauth_is_true_or_a_text_and_the_only_login() {
        for (text, expected) in [
            ("[[upstream]]\nurl = \"https://a.example\"\ngoauth = 1\n", "3:10: expected true"),
            ("[[upstream]]\nurl = \"http://a.example\"\ngoauth = true\n", "3:10: a login is not sent over plain"),
            ("[[upstream]]\nurl = \"https://a.example\"\ngoauth = \"x\"\nuser = \"me\"\n", "3:10: expected one login"),
            ("[[private]]\npatterns = \"a.example\"\ndirect = true\ngoauth = true\n", "4:10: with direct = true"),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{text}: {told}");
        }
        for (value, expected) in [("true", true), ("\"off\"", true), ("false", false)] {
            let settings = read(&format!("[[upstream]]\nurl = \"https://a.example\"\ngoauth = {value}\n")).unwrap();
            assert_eq!(settings.proxy_list.unwrap().upstreams()[0].credentials.is_some(), expected, "{value}");
        }
    }

    #[test]
    fn values_and_tables_of_another_kind_have_a_message_that_says_what_to_write() {
        for (text, expected) in [
            ("[[upstream]]\nurl = \"https://a.example\"\nweight = -1\n", "3:10: expected a weight from 1 to 1000"),
            ("[upstream]\nurl = \"https://a.example\"\n", "1:1: `upstream` must be written [[upstream]]"),
            (
                "[[private]]\npatterns = \"corp\"\ndirect = true\n",
                "2:12: \"corp\" cannot be the first element of a module path: it needs a dot",
            ),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{text}: {told}");
        }
    }

    #[test]
    fn the_configuration_in_the_documents_can_be_used() {
        let page = include_str!("../docs/settings.md");
        let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let any = |_: &Login, url: &Url| Login::Bearer(Secret::Variable("PATH".to_owned())).read(url);
        let settings = Settings::read_with(text, Path::new("/"), &any).unwrap();
        assert_eq!((settings.proxy_list.unwrap().upstreams().len(), settings.private.len()), (2, 2));
    }

    #[test]
    fn paths_are_relative_to_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "abc\n").unwrap();
        let text = "[[upstream]]\nurl = \"https://a.example\"\ntoken-file = \"token\"\n";
        assert!(Settings::read(text, folder.path()).is_ok());
        let absolute = folder.path().join("token");
        let text = text.replace("\"token\"", &format!("{:?}", absolute.display().to_string()));
        assert!(Settings::read(&text, Path::new("/nowhere")).is_ok());
    }
}
