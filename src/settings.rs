//! The settings of `serve` in a file: upstreams and private modules, with what a line of GOPROXY has no room for.
//!
//! ```text
//! text ─read→ Settings { chain, private } with logins, or everything that is wrong with it, each with its place
//! ```
//!
//! Secrets stand in files and variables that the settings name, never in the settings.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use url::Url;

use crate::base::duration;
use crate::base::toml_file::{self, Diagnostics, Reader, Text, patterns};
use crate::upstream::{
    Credentials, Login, LoginError, ProxyList, Scope, Secret, Source, Timeouts, UpstreamConfig, may_log_in,
};
use gomodule::module::Patterns;

/// More rules than a company has servers; each request looks at all of them.
const MAX_PRIVATE: usize = 100;
/// The range of weights: from the same as others to a thousandth of their time.
const MAX_WEIGHT: u16 = 1000;

/// Longer than anything here is waited for or believed; caches take no more than a thousand years.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The upstreams, if it names some.
    pub chain: Option<ProxyList>,
    /// Private modules, and where each comes from. The first that matches counts.
    pub private: Vec<(Patterns, Private)>,
}

/// Where private modules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Private {
    /// A proxy of their own.
    Proxy(Box<UpstreamConfig>),
    /// Version control; and how long it may take, if that is said.
    Direct(Option<Duration>),
}

/// Reads a secret, or says why it cannot be read.
type Secrets<'a> = &'a dyn Fn(&Login, &Url) -> Result<Credentials, LoginError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Flags of `serve`: the command line reads and checks them (`cli/serve_file`).
    #[serde(default, rename = "serve")]
    _serve: IgnoredAny,
    #[serde(default)]
    upstream: Vec<Spanned<Upstream>>,
    #[serde(default)]
    private: Vec<Spanned<PrivateModules>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Upstream {
    url: Text,
    serves: Option<Text>,
    #[serde(default)]
    on_any_failure: bool,
    weight: Option<Spanned<u16>>,
    netrc: Option<Spanned<bool>>,
    token_file: Option<Text>,
    token_env: Option<Text>,
    user: Option<Text>,
    password_file: Option<Text>,
    password_env: Option<Text>,
    connect: Option<Text>,
    first_byte: Option<Text>,
    stall: Option<Text>,
    whole: Option<Text>,
    #[serde(default)]
    redirects_inside: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PrivateModules {
    patterns: Text,
    url: Option<Text>,
    direct: Option<Spanned<bool>>,
    netrc: Option<Spanned<bool>>,
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

/// What is said about logging in: the fields that both tables have. They are written out in each, for serde cannot flatten
/// a table that refuses unknown keys (<https://serde.rs/container-attrs.html#deny_unknown_fields>).
struct LoginFields<'f> {
    netrc: Option<&'f Spanned<bool>>,
    token: [Option<&'f Text>; 2],
    user: Option<&'f Text>,
    password: [Option<&'f Text>; 2],
}

impl Settings {
    /// Reads settings. Paths in them are relative to `folder`.
    pub fn read(text: &str, folder: &Path) -> Result<Self, Diagnostics> {
        Self::read_with(text, folder, &|login, url| login.read(url))
    }

    /// Reads settings, and their secrets in this way.
    pub(crate) fn read_with(text: &str, folder: &Path, secrets: Secrets<'_>) -> Result<Self, Diagnostics> {
        toml_file::read(text, "configuration", |reader, file: &File| {
            let mut tables = Tables { reader, folder, secrets };
            let links: Vec<UpstreamConfig> = file.upstream.iter().filter_map(|one| tables.upstream(one)).collect();
            // What could not be read was complained about.
            let chain = (links.len() == file.upstream.len() && !links.is_empty()).then(|| ProxyList::of(links));
            let chain = chain.transpose().unwrap_or_else(|error| {
                tables.reader.complain(file.upstream.last().map_or(0, |one| one.span().start), error.to_string());
                None
            });
            if let Some(one) = file.private.get(MAX_PRIVATE) {
                tables.reader.complain(one.span().start, format!("there are more than {MAX_PRIVATE} [[private]]"));
            }
            let private = file.private.iter().filter_map(|one| tables.private(one)).collect();
            Self { chain, private }
        })
    }
}

/// Makes of each table what is meant.
struct Tables<'a, 't> {
    reader: &'a mut Reader<'t>,
    folder: &'a Path,
    secrets: Secrets<'a>,
}

impl Tables<'_, '_> {
    fn upstream(&mut self, one: &Spanned<Upstream>) -> Option<UpstreamConfig> {
        let it = one.get_ref();
        let serves = it.serves.as_ref().map(|text| self.reader.checked(text, patterns));
        let weight = it.weight.as_ref().map_or(1, |weight| {
            if !(1..=MAX_WEIGHT).contains(weight.get_ref()) {
                self.reader.complain(
                    weight.span().start,
                    format!("a weight is 1 to {MAX_WEIGHT}: twice the weight is half the time"),
                );
            }
            *weight.get_ref()
        });
        let login = LoginFields {
            netrc: it.netrc.as_ref(),
            token: [it.token_file.as_ref(), it.token_env.as_ref()],
            user: it.user.as_ref(),
            password: [it.password_file.as_ref(), it.password_env.as_ref()],
        };
        let timeouts =
            self.timeouts([it.connect.as_ref(), it.first_byte.as_ref(), it.stall.as_ref(), it.whole.as_ref()]);
        let link = self.link(&it.url, &login, timeouts)?;
        let serves = serves.unwrap_or(Some(Patterns::default()))?;
        let (on_any_failure, redirects_inside) = (it.on_any_failure, it.redirects_inside);
        let scope = Scope::Public(serves);
        Some(UpstreamConfig { on_any_failure, scope, weight, redirects_inside, ..link })
    }

    fn private(&mut self, one: &Spanned<PrivateModules>) -> Option<(Patterns, Private)> {
        let it = one.get_ref();
        let matching = self.reader.checked(&it.patterns, patterns);
        let login = LoginFields {
            netrc: it.netrc.as_ref(),
            token: [it.token_file.as_ref(), it.token_env.as_ref()],
            user: it.user.as_ref(),
            password: [it.password_file.as_ref(), it.password_env.as_ref()],
        };
        let times = [it.connect.as_ref(), it.first_byte.as_ref(), it.stall.as_ref(), it.whole.as_ref()];
        let direct = it.direct.as_ref().is_some_and(|direct| *direct.get_ref());
        let to = match (&it.url, direct) {
            (Some(url), false) => {
                let timeouts = self.timeouts(times);
                let redirects_inside = it.redirects_inside.as_ref().is_some_and(|inside| *inside.get_ref());
                let link = self.link(url, &login, timeouts)?;
                Some(Private::Proxy(Box::new(UpstreamConfig { redirects_inside, ..link })))
            }
            (None, true) => {
                let not_ours = times[..3].iter().copied().flatten().chain(login.texts()).map(|text| text.span().start);
                if let Some(at) = not_ours.chain(login.netrc.map(|netrc| netrc.span().start)).min() {
                    self.reader.complain(at, "`go` and git log in by themselves, and know one time only: whole");
                }
                if let Some(inside) = &it.redirects_inside {
                    self.reader.complain(
                        inside.span().start,
                        "redirects-inside is for a url: `go` and git follow their own rules",
                    );
                }
                let patience = it.whole.as_ref().map(|text| self.reader.checked(text, time));
                Some(Private::Direct(patience.flatten()))
            }
            _ => {
                self.reader.complain(
                    one.span().start,
                    "say where it comes from: either url = \"https://…\", or direct = true",
                );
                None
            }
        };
        Some((matching?, to?))
    }

    fn link(&mut self, url: &Text, login: &LoginFields<'_>, timeouts: Option<Timeouts>) -> Option<UpstreamConfig> {
        let source = self.reader.checked(url, Source::parse)?;
        let credentials = match (self.login(login).ok()?, &source) {
            (None, _) => None,
            (Some((at, login)), Source::Http(address)) => {
                if !address.username().is_empty() || address.password().is_some() {
                    self.reader.complain(url.span().start, "credentials given twice: in the url and in the table");
                    return None;
                }
                if !may_log_in(address) {
                    self.reader.complain(at, "a login is not sent over plain http: make the url https");
                    return None;
                }
                Some(
                    (self.secrets)(&login, address)
                        .map_err(|error| self.reader.complain(at, error.to_string()))
                        .ok()?,
                )
            }
            (Some((at, _)), _) => {
                self.reader.complain(at, "a folder needs no login");
                return None;
            }
        };
        Some(UpstreamConfig { timeouts, credentials, ..UpstreamConfig::plain(source, false) })
    }

    /// The login that is described, if one is, and where; an error was complained about.
    fn login(&mut self, fields: &LoginFields<'_>) -> Result<Option<(usize, Login)>, ()> {
        let secret = |places: [Option<&Text>; 2]| {
            let file = places[0].map(|text| Secret::File(self.folder.join(text.get_ref())));
            file.or_else(|| places[1].map(|text| Secret::Variable(text.get_ref().clone())))
        };
        let netrc = fields.netrc.filter(|netrc| *netrc.get_ref());
        let firsts = fields.texts().map(|text| text.span().start).chain(netrc.map(|netrc| netrc.span().start));
        let Some(at) = firsts.min() else { return Ok(None) };
        let (texts, tokens) = (fields.texts().count(), fields.token.iter().flatten().count());
        let login = match (netrc.is_some(), texts, tokens, fields.user) {
            (true, 0, ..) => Some(Login::Netrc),
            (false, 1, 1, None) => secret(fields.token).map(Login::Bearer),
            (false, 2, 0, Some(user)) if !user.get_ref().contains(':') => {
                secret(fields.password).map(|password| Login::Basic { user: user.get_ref().clone(), password })
            }
            _ => None,
        };
        if login.is_none() {
            let words = "log in in one way: netrc = true; or token-file or token-env; or user, and password-file or \
                         password-env (no user name has a colon)";
            self.reader.complain(at, words);
        }
        login.map(|login| Some((at, login))).ok_or(())
    }

    /// The time-outs, if one differs from the usual.
    fn timeouts(&mut self, times: [Option<&Text>; 4]) -> Option<Timeouts> {
        let usual = Timeouts::default();
        let [connect, first_byte, stall, whole] =
            times.map(|text| text.and_then(|text| self.reader.checked(text, time)));
        let timeouts = Timeouts {
            connect: connect.unwrap_or(usual.connect),
            first_byte: first_byte.unwrap_or(usual.first_byte),
            stall: stall.unwrap_or(usual.stall),
            whole: whole.unwrap_or(usual.whole),
        };
        (timeouts != usual).then_some(timeouts)
    }
}

impl<'f> LoginFields<'f> {
    fn texts(&self) -> impl Iterator<Item = &'f Text> + use<'f> {
        let [token_file, token_env] = self.token;
        let [password_file, password_env] = self.password;
        [token_file, token_env, self.user, password_file, password_env].into_iter().flatten()
    }
}

/// Why a text is no time that something may take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TimeError {
    #[error("{0:?} is not a valid duration: expected a value such as 60s, 5m or 24h")]
    Unreadable(String),
    #[error("{0:?} is longer than a year")]
    TooLong(String),
    #[error("must be greater than zero")]
    Zero,
}

/// A time that something may take, such as `60s`, `1m 30s` or `24h`.
fn time(text: &str) -> Result<Duration, TimeError> {
    match duration(text) {
        Ok(Duration::ZERO) => Err(TimeError::Zero),
        time => time,
    }
}

/// A time such as `60s`, `1m 30s` or `24h`.
pub(crate) fn duration(text: &str) -> Result<Duration, TimeError> {
    let time = duration::duration(text).ok_or_else(|| TimeError::Unreadable(text.to_owned()))?;
    if time > LONGEST { Err(TimeError::TooLong(text.to_owned())) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;

    fn read(text: &str) -> Result<Settings, Diagnostics> {
        let secret = |login: &Login, url: &Url| match login {
            Login::Bearer(Secret::Variable(name)) if name == "ABSENT" => {
                Err(Secret::Variable(name.clone()).unfit("is not set"))
            }
            Login::Bearer(Secret::File(path)) => Login::Bearer(Secret::File(path.clone())).read(url),
            _ => Login::Bearer(Secret::Variable("PATH".to_owned())).read(url),
        };
        Settings::read_with(text, Path::new("/nowhere"), &secret)
    }

    #[test]
    fn everything_that_can_be_said() {
        let settings = read(
            "[[upstream]]\nurl = \"https://a.example/go/\"\nserves = \"*.corp.example, github.com/our\"\nweight = 2\n\
             on-any-failure = true\nuser = \"me\"\npassword-env = \"X\"\nconnect = \"2s\"\nwhole = \"1h\"\n\
             redirects-inside = true\n[[upstream]]\nurl = \"https://proxy.golang.org\"\n\
             [[private]]\npatterns = \"corp.example/secret\"\ndirect = true\nwhole = \"2m\"\n\
             [[private]]\npatterns = \"corp.example\"\nurl = \"https://b.example\"\ntoken-env = \"X\"\n\
             redirects-inside = true\n",
        )
        .unwrap();
        let chain = settings.chain.unwrap();
        assert_eq!(chain.to_string(), "https://a.example/go|https://proxy.golang.org");
        let first = &chain.upstreams()[0];
        let serves = Scope::Public(Patterns::parse("*.corp.example,github.com/our").unwrap());
        assert_eq!((&first.scope, first.weight), (&serves, 2));
        assert!(first.credentials.is_some() && first.redirects_inside);
        let usual = Timeouts::default();
        let times = Timeouts { connect: Duration::from_secs(2), whole: Duration::from_hours(1), ..usual };
        assert_eq!(first.timeouts, Some(times));
        assert_eq!(
            chain.upstreams()[1],
            UpstreamConfig::plain(Source::parse("https://proxy.golang.org").unwrap(), false)
        );
        assert_eq!(settings.private.len(), 2);
        assert_eq!(settings.private[0].1, Private::Direct(Some(Duration::from_mins(2))));
        assert!(
            matches!(&settings.private[1].1, Private::Proxy(link) if link.credentials.is_some() && link.redirects_inside)
        );
        assert_eq!(read("").unwrap(), Settings::default());
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        for (text, complaint) in [
            ("[[upstream]]\nurl = \"https://a.example\"\nurls = 1\n", "3:1: unknown key `urls`: did you mean `url`?"),
            ("[[upstreams]]\n", "1:3: unknown key `upstreams`: did you mean `upstream`?"),
            ("[[upstream]]\nurl = \"a.example\"\n", "2:7: the upstream \"a.example\" is not a url"),
            (
                "[[upstream]]\nurl = \"http://a.example\"\ntoken-env = \"X\"\n",
                "3:13: a login is not sent over plain http",
            ),
            (
                "[[upstream]]\nurl = \"http://me:word@a.example\"\n",
                "2:7: the upstream \"http://a.example\" would get a login",
            ),
            (
                "[[private]]\npatterns = \"a.example\"\nurl = \"http://a.example\"\nnetrc = true\n",
                "4:9: a login is not sent",
            ),
            (
                "[[private]]\npatterns = \"a.example\"\ndirect = true\nredirects-inside = true\n",
                "4:20: redirects-inside is for a url",
            ),
            ("[[upstream]]\nurl = \"file:///go\"\ntoken-env = \"X\"\n", "3:13: a folder needs no login"),
            ("[[upstream]]\nurl = \"https://a.example\"\ntoken-env = \"ABSENT\"\n", "3:13: the variable ABSENT"),
            ("[[upstream]]\nurl = \"https://a.example\"\ntoken-file = \"t\"\n", "3:14: cannot read /nowhere/t"),
            ("[[upstream]]\nurl = \"https://a.example\"\nuser = \"me\"\n", "3:8: log in in one way"),
            ("[[upstream]]\nurl = \"https://a.example\"\nnetrc = true\ntoken-env = \"X\"\n", "3:9: log in in one way"),
            ("[[upstream]]\nurl = \"https://a.example\"\nserves = \"a b\"\n", "3:10: separate patterns by commas"),
            ("[[upstream]]\nurl = \"https://a.example\"\nweight = 0\n", "3:10: a weight is 1 to 1000"),
            ("[[upstream]]\nurl = \"https://a.example\"\nstall = \"soon\"\n", "3:9: \"soon\" is not a valid duration"),
            ("[[upstream]]\nurl = \"https://a.example\"\nwhole = \"0s\"\n", "3:9: must be greater than zero"),
            (
                "[[upstream]]\nurl = \"https://a.example\"\nwhole = \"9000000h\"\n",
                "3:9: \"9000000h\" is longer than a year",
            ),
            ("[[private]]\npatterns = \"a.example\"\n", "1:1: say where it comes from"),
            ("[[private]]\npatterns = \"a.example\"\nurl = \"https://b.example\"\ndirect = true\n", "1:1: say where"),
            ("[[private]]\npatterns = \"\"\ndirect = true\n", "2:12: name at least one module pattern"),
            ("[[private]]\npatterns = \"a.example\"\ndirect = true\ntoken-env = \"X\"\n", "4:13: `go` and git log in"),
            ("[[private]]\npatterns = \"a.example\"\ndirect = true\nconnect = \"1s\"\n", "4:11: `go` and git log in"),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.starts_with(complaint), "{text}: {told}");
        }
        let two = read("[[upstream]]\nurl = \"x\"\n[[upstream]]\nurl = \"y\"\n").unwrap_err().to_string();
        assert_eq!(two.lines().count(), 2, "{two}");
    }

    #[test]
    fn the_configuration_in_the_readme_can_be_used() {
        let blocks =
            include_str!("../README.md").split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let text = blocks.filter(|block| block.contains("[[private]]")).collect::<Vec<_>>().concat();
        let any = |_: &Login, url: &Url| Login::Bearer(Secret::Variable("PATH".to_owned())).read(url);
        let settings = Settings::read_with(&text, Path::new("/"), &any).unwrap();
        assert_eq!((settings.chain.unwrap().upstreams().len(), settings.private.len()), (2, 2));
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
