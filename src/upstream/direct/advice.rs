//! What the operator can do about a failure of `go` and git.

use std::fmt;

/// Messages of git, ssh and `go` for a missing or refused login. The last one tells no cause.
const LOGIN: [&str; 9] = [
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "Permission denied (",
    "returned error: 401",
    "returned error: 403",
    "?go-get=1: 401 ",
    "?go-get=1: 403 ",
    "no secure protocol found for repository",
];
/// The message of ssh for an unknown or changed host key.
const HOST_KEY: &str = "Host key verification failed";
/// Messages of `go` and git for a certificate that they do not trust.
const CERTIFICATE: [&str; 3] =
    ["failed to verify certificate", "server certificate verification failed", "SSL certificate problem"];

/// What is missing on this machine, as far as a message shows it. It follows the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    missing: Missing,
    host: String,
    /// Variables that were not passed on.
    dropped: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Unknown.
    Something,
    HostKey,
    Login,
    Certificate,
}

impl Advice {
    pub(super) fn on(message: &str, dropped: &[String]) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
        let missing = if has(&[HOST_KEY]) {
            Missing::HostKey
        } else if has(&CERTIFICATE) {
            Missing::Certificate
        } else if has(&LOGIN) {
            Missing::Login
        } else {
            Missing::Something
        };
        // With insteadOf, git asks another host than the one that `go` names.
        let of_git = message.rsplit_once("fatal: ").and_then(|(_, said)| host_of_url(said.lines().next()?));
        let host = of_git.or_else(|| host_of_url(message)).unwrap_or_default();
        Self { missing, host, dropped: dropped.to_vec() }
    }

    pub(super) fn of_a_login(dropped: &[String]) -> Self {
        Self { missing: Missing::Login, host: String::new(), dropped: dropped.to_vec() }
    }

    pub(super) fn nothing() -> Self {
        Self { missing: Missing::Something, host: String::new(), dropped: Vec::new() }
    }

    /// The same, with a host if the message named none.
    pub(super) fn with_host(mut self, host: &str) -> Self {
        if self.host.is_empty() {
            host.clone_into(&mut self.host);
        }
        self
    }
}

/// The host of the first url in a text, without a port and a user.
fn host_of_url(message: &str) -> Option<String> {
    let is_of_a_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let after = message.split_once("://")?.1;
    let authority = after.split(['/', ' ', '"', '\'']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty() && host.bytes().all(is_of_a_host)).then(|| host.to_owned())
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, host, dropped } = self;
        match missing {
            Missing::Something => Ok(()),
            Missing::HostKey => write!(
                f,
                ". ssh does not know the host key of {host}: compare the key with the one that the host publishes, and add \
                 it for the user of this mirror: ssh-keyscan {host} >> ~/.ssh/known_hosts"
            ),
            Missing::Certificate => write!(
                f,
                ". The certificate of {host} is not trusted here: set SSL_CERT_FILE (for `go`) and GIT_SSL_CAINFO (for git) \
                 to that of its authority, or set insecure = true in its [[private]]"
            ),
            Missing::Login => {
                write!(
                    f,
                    ". The host may answer so without a valid login: check the login of this mirror for {host} (netrc, git \
                     credentials, an ssh key, GOAUTH)"
                )?;
                if dropped.is_empty() {
                    return Ok(());
                }
                let names = dropped.join(", ");
                write!(
                    f,
                    ". These variables are not passed on to `go` and git: {names}; if the login needs one, name it in its \
                     [[private]]: env = [\"NAME\"]"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_host_of_the_repository() {
        for (message, expected) in [
            (
                "git ls-remote -q ssh://git@git.example:22/x in /y: exit status 128: Host key verification failed.",
                "ssh-keyscan git.example >>",
            ),
            ("git fetch: Host key verification failed.", "the host key of a.example"),
            ("reading https://b.example/x?go-get=1: 401 -", "for b.example (netrc"),
            (
                "git ls-remote -q https://me@b.example/x: fatal: Authentication failed for 'https://b.example/x/'",
                "for b.example (netrc",
            ),
            (
                "Get \"https://b.example/x?go-get=1\": tls: failed to verify certificate: x509",
                "certificate of b.example is",
            ),
            (
                "git ls-remote -q https://a.example/x.git in /y: exit status 128:\n\tfatal: could not read Username for \
                 'https://copy.example': terminal prompts disabled\nsee https://go.dev/doc/faq#git_https",
                "for copy.example (netrc",
            ),
            ("fatal: unable to access 'https://$(x)/': SSL certificate problem", "certificate of a.example is"),
        ] {
            let told = Advice::on(message, &[]).with_host("a.example").to_string();
            assert!(told.contains(expected), "{message}: {told}");
        }
        assert_eq!(Advice::on("no such host", &[]).to_string(), "");
        let told = Advice::of_a_login(&["CI_TOKEN".to_owned()]).to_string();
        assert!(told.contains("not passed on to `go` and git: CI_TOKEN;"), "{told}");
    }
}
