//! The environment of `go` and git: what they inherit from the mirror, and what is set for them.

use std::ffi::OsString;
use std::path::Path;

use super::settings::DirectSettings;
use crate::base::process::is_unwanted;

/// Variables that are named in a message.
const MAX_NAMED: usize = 12;
/// Parts of the names of variables that a login may need. Others, such as TERM, are not named in messages.
const OF_LOGINS: [&str; 11] =
    ["TOKEN", "PASS", "SECRET", "KEY", "AUTH", "CRED", "LOGIN", "USER", "GIT", "SSH", "GOINSECURE"];

/// Variables that the child inherits, and why. All others are removed, so that no setting of `go` and no setting of the mirror
/// changes what is fetched; the configuration can name more, which a helper of git reads.
const KEPT: [&str; 12] = [
    // Where git and ssh are.
    "PATH",
    // Where git finds ~/.gitconfig, ssh its keys and known hosts, and `go` ~/.netrc.
    "HOME XDG_CONFIG_HOME NETRC",
    // The default user name of ssh.
    "USER LOGNAME",
    // How to reach a repository over ssh.
    "SSH_AUTH_SOCK GIT_SSH GIT_SSH_COMMAND GIT_SSH_VARIANT",
    // A program that knows the password. It cannot ask the user: there is no terminal.
    "GIT_ASKPASS",
    // Settings of git in variables, as in CI systems; GIT_CONFIG_KEY_n and GIT_CONFIG_VALUE_n belong to the count.
    "GIT_CONFIG_COUNT GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM",
    // Certificates of a company.
    "SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO GIT_SSL_CAPATH GIT_SSL_CERT GIT_SSL_KEY",
    // Proxies.
    "HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy",
    "GIT_PROXY_COMMAND",
    // Where other temporary files go.
    "TMPDIR",
    // Where a relocated Go installation finds its files.
    "GOROOT",
];
const KEPT_PREFIXES: [&str; 2] = ["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

/// Variables that are set for the child. They leave no choice to `go` except how to read a repository.
const SET: [(&str, &str); 14] = [
    ("GOENV", "off"),
    ("GOPROXY", "direct"),
    // The mirror pins private modules; their names must not go to the database.
    ("GOSUMDB", "off"),
    ("GOPRIVATE", ""),
    ("GONOPROXY", ""),
    ("GONOSUMDB", ""),
    // Only git: other version control programs are rarely audited.
    ("GOVCS", "*:git"),
    // The folder must be removable, and a go.mod need not be tidy.
    ("GOFLAGS", "-modcacherw -mod=mod"),
    ("GOWORK", "off"),
    ("GO111MODULE", "on"),
    // A go.mod must not select another `go`.
    ("GOTOOLCHAIN", "local"),
    ("GOTELEMETRY", "off"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // The error messages are parsed.
    ("LC_ALL", "C"),
];
/// Variables that are set for the child too, with the folder of the run or the settings of the source.
const SET_BY_RUN: [&str; 6] = ["GOMODCACHE", "GOPATH", "GOCACHE", "GOTMPDIR", "GOAUTH", "GOINSECURE"];

/// Why a variable cannot be passed on to `go` and git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// No shell has such a name.
    #[error("expected the name of a variable, such as \"CI_TOKEN\": its value stays in the environment of the mirror")]
    Name,
    /// It would change what is fetched.
    #[error("this variable is set by the mirror, so that nothing changes what is fetched")]
    Set,
    /// It would make `go` or git load code, or show a secret of the mirror.
    #[error(
        "this variable is not passed on to other programs: it is a setting of sumgate, or makes programs load code"
    )]
    Unwanted,
}

/// Checks the name of a variable that the configuration passes on.
pub fn may_pass_on(name: &str) -> Result<String, VariableError> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !is_name {
        Err(VariableError::Name)
    } else if SET.iter().any(|(set, _)| *set == name) || SET_BY_RUN.contains(&name) {
        Err(VariableError::Set)
    } else if is_unwanted(name.as_ref()) {
        Err(VariableError::Unwanted)
    } else {
        Ok(name.to_owned())
    }
}

fn is_kept(name: &str, settings: &DirectSettings) -> bool {
    KEPT.iter().any(|names| names.split(' ').any(|kept| kept == name))
        || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || settings.variables.iter().any(|kept| kept == name)
}

/// The environment of a run in `folder`, from that of the mirror.
pub(super) fn environment(
    ours: impl Iterator<Item = (OsString, OsString)>,
    settings: &DirectSettings,
    folder: &Path,
) -> Vec<(OsString, OsString)> {
    let mut all: Vec<_> = ours.filter(|(name, _)| name.to_str().is_some_and(|name| is_kept(name, settings))).collect();
    let given = [("GOAUTH", &settings.goauth), ("GOINSECURE", &settings.insecure)];
    all.extend(given.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    all.extend(SET.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let below = [("GOMODCACHE", "mod"), ("GOPATH", "path"), ("GOCACHE", "build"), ("GOTMPDIR", "work")];
    all.extend(below.iter().map(|(name, dir)| (OsString::from(name), folder.join(dir).into_os_string())));
    all
}

/// The names of the variables that are not passed on and that a login may need.
pub(super) fn dropped(names: impl Iterator<Item = OsString>, settings: &DirectSettings) -> Vec<String> {
    let names = names.filter_map(|name| may_pass_on(name.to_str()?).ok());
    let is_of_a_login = |name: &String| OF_LOGINS.iter().any(|part| name.contains(part));
    let mut names: Vec<String> = names.filter(|name| is_of_a_login(name) && !is_kept(name, settings)).collect();
    names.sort_unstable();
    names.truncate(MAX_NAMED);
    names
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn settings() -> DirectSettings {
        let mut settings = DirectSettings::new(Path::new("/scratch"), "/forgotten".into(), None);
        settings.variables = vec!["CI_TOKEN".to_owned()];
        settings.insecure = "a.example".to_owned();
        settings
    }

    #[test]
    fn the_child_gets_only_the_listed_variables() {
        let ours = [
            ("HOME", "/home/a"),
            ("GIT_CONFIG_KEY_0", "url.x.insteadOf"),
            ("GOPROXY", "https://a.example"),
            ("GOFLAGS", "-insecure"),
            ("SUMGATE_TOKEN", "secret"),
            ("GIT_DIR", "/elsewhere"),
            ("no_proxy", "corp.example"),
            ("CI_TOKEN", "secret"),
            ("GOINSECURE", "*"),
            ("GOAUTH", "off"),
        ];
        let ours = ours.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let all = environment(ours.into_iter(), &settings(), Path::new("/scratch"));
        let get =
            |name: &str| all.iter().rfind(|(n, _)| n == name).map(|(_, value)| value.to_str().unwrap().to_owned());
        assert_eq!(get("HOME").as_deref(), Some("/home/a"));
        assert_eq!(get("GIT_CONFIG_KEY_0").as_deref(), Some("url.x.insteadOf"));
        assert_eq!(get("GOPROXY").as_deref(), Some("direct"));
        assert_eq!(get("GOFLAGS").as_deref(), Some("-modcacherw -mod=mod"));
        assert_eq!(get("GOMODCACHE").as_deref(), Some("/scratch/mod"));
        assert_eq!(get("no_proxy").as_deref(), Some("corp.example"));
        assert_eq!(get("CI_TOKEN").as_deref(), Some("secret"));
        assert_eq!((get("GOINSECURE").as_deref(), get("GOAUTH").as_deref()), (Some("a.example"), Some("netrc")));
        assert_eq!([get("SUMGATE_TOKEN"), get("GIT_DIR")], [None, None]);
    }

    #[test]
    fn a_message_names_variables_of_logins_that_are_not_passed_on() {
        let names = ["CI_TOKEN", "NPM_TOKEN", "TERM", "HOME", "SUMGATE_CACHE_KEY", "GIT_SSH", "GOPROXY", "A_PASSWORD"];
        assert_eq!(dropped(names.map(OsString::from).into_iter(), &settings()), ["A_PASSWORD", "NPM_TOKEN"]);
    }

    #[test]
    fn what_changes_the_fetched_files_is_not_passed_on() {
        for (name, expected) in [
            ("CI_TOKEN", Ok("CI_TOKEN".to_owned())),
            ("GIT_SSL_NO_VERIFY", Ok("GIT_SSL_NO_VERIFY".to_owned())),
            ("GOPROXY", Err(VariableError::Set)),
            ("GOMODCACHE", Err(VariableError::Set)),
            ("LD_PRELOAD", Err(VariableError::Unwanted)),
            ("SUMGATE_CACHE_KEY", Err(VariableError::Unwanted)),
            ("A=b", Err(VariableError::Name)),
            ("1A", Err(VariableError::Name)),
            ("", Err(VariableError::Name)),
        ] {
            assert_eq!(may_pass_on(name), expected, "{name}");
        }
    }
}
