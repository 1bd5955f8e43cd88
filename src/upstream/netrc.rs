//! `.netrc`, read as `go` reads it (`cmd/go/internal/auth`): line by line, the words of a line in pairs.
//!
//! A machine is `host`, `host:port` or `host:port/path`. The longest prefix of the requested URL decides, cut at its slashes.
//! So a login for `host` is never sent to `host:port`, and a line that begins with a comment mark has shifted pairs, which
//! name no machine.

use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use crate::base::bounded::text_bounded;
use crate::base::tree::open_file;

/// A few lines for each host.
const MAX_FILE: u64 = 64 << 10;

/// One machine with its login and password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    pub(super) machine: &'t str,
    pub(super) login: &'t str,
    pub(super) password: &'t str,
}

/// Where the file is, as for `go`: NETRC, else `~/.netrc`.
pub(super) fn path() -> Option<PathBuf> {
    match std::env::var_os("NETRC").filter(|path| !path.is_empty()) {
        Some(path) => Some(path.into()),
        None => Some(std::env::home_dir()?.join(".netrc")),
    }
}

/// The text of a file. Blocks.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let text = text_bounded(open_file(path)?, MAX_FILE)?;
    text.ok_or_else(|| io::Error::other(format!("it has more than {MAX_FILE} bytes")))
}

/// Login and password for a URL.
pub(crate) fn login_for(text: &str, url: &Url) -> Option<(String, String)> {
    let lines = parse(text);
    let address = format!("{}{}", authority(url), url.path());
    let mut prefix = address.trim_end_matches('/');
    loop {
        // Of two lines for one machine the first counts.
        if let Some(line) = lines.iter().find(|line| line.machine == prefix) {
            return Some((line.login.to_owned(), line.password.to_owned()));
        }
        prefix = prefix.rsplit_once('/')?.0;
    }
}

/// Host and port of a URL; `https://host:443` has none.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The machines of a file, in its order.
pub(super) fn parse(text: &str) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let (mut machine, mut login, mut password) = ("", "", "");
    let mut in_macro = false;
    for line in text.split('\n') {
        if in_macro {
            in_macro = !line.is_empty();
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.chunks_exact(2) {
            match pair[0] {
                "machine" => (machine, login, password) = (pair[1], "", ""),
                "login" => login = pair[1],
                "password" => password = pair[1],
                "macdef" => in_macro = true,
                _ => {}
            }
            if ![machine, login, password].contains(&"") {
                let bare = machine.strip_prefix("https://").unwrap_or(machine);
                found.push(Line { machine: bare.strip_suffix('/').unwrap_or(bare), login, password });
                (machine, login, password) = ("", "", "");
            }
        }
        // A `default` alone ends the list, so that no password is sent to every host.
        if words.chunks_exact(2).remainder() == ["default"] {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn of(text: &str, url: &str) -> Option<String> {
        login_for(text, &Url::parse(url).unwrap()).map(|(login, password)| format!("{login}:{password}"))
    }

    #[test]
    fn the_longest_prefix_of_a_url_decides() {
        let text = "machine a.example login host password 1\n\
                    machine a.example:8443 login port password 2\n\
                    machine a.example:8443/team login team password 3\n\
                    machine https://b.example/x/ login b password 4\n\
                    machine a.example login later password 5\n";
        for (url, expected) in [
            ("https://a.example", Some("host:1")),
            ("https://a.example/team/x", Some("host:1")),
            ("https://a.example:443/", Some("host:1")),
            ("https://a.example:8443/other", Some("port:2")),
            ("https://a.example:8443/team/x/@v/list", Some("team:3")),
            ("https://a.example:8443/teams", Some("port:2")),
            ("https://a.example:9000/team", None),
            ("https://b.example/x/y", Some("b:4")),
            ("https://b.example/", None),
            ("https://example", None),
        ] {
            assert_eq!(of(text, url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn words_are_read_in_pairs_line_by_line() {
        for (text, expected) in [
            ("machine a.example login me password one", Some("me:one")),
            ("machine a.example\n\tlogin me\n\tpassword one\n", Some("me:one")),
            ("machine a.example login me\r\npassword one\r\n", Some("me:one")),
            ("# machine a.example login me password one", None),
            ("#machine a.example login me password one", None),
            ("machine a.example login me # password one", None),
            ("machine a.example account x login me password one", Some("me:one")),
            (
                "macdef init\nmachine a.example login x password y\n\nmachine a.example login me password one",
                Some("me:one"),
            ),
            ("default\nmachine a.example login me password one", None),
            ("default login all password all", None),
            ("machine a.example login me password", None),
        ] {
            assert_eq!(of(text, "https://a.example/x").as_deref(), expected, "{text:?}");
        }
    }
}
