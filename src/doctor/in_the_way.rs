//! Judges whether a sumgate mirror is in the way of `go`, by what `go` did when it was told to ask for a module that every
//! mirror refuses, and for one that it must release. Pure.

use std::fmt::Write;

use super::{has_fallback, without_logins};
use crate::go::asking::{Asking, Request};
use crate::go::environment::GoEnv;
use crate::mirror::REFUSED_WORDS;
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, hash_go_mod};
use gomodule::gosum::{AnyHash, SumContent, go_sum_lines};
use gomodule::module::{ModulePath, ModuleVersion};

/// A small module that sum.golang.org knows: the one of Go's own tutorial, with the hash of its go.mod in the log.
const KNOWN: (&str, &str) = ("rsc.io/quote@v1.5.2", "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=");

/// Whether a mirror is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTheWay {
    /// `go` asks nobody else.
    Yes,
    /// `go` asks somebody else, or no mirror.
    No,
    /// No server answered.
    Unknown,
}

/// What was seen, for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The verdict.
    pub verdict: InTheWay,
    /// What happened, a line each.
    pub lines: Vec<String>,
    /// The mirror, if one refused.
    mirror: Option<String>,
}

/// A module whose go.mod has a known hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownModule {
    /// The module.
    pub module: ModuleVersion,
    h1: H1,
    from: &'static str,
}

impl KnownModule {
    /// The first module of a go.sum that is not private, or else a well-known one.
    pub fn of(go_sum: &[u8], is_private: impl Fn(&ModulePath) -> bool) -> Option<Self> {
        let public = go_sum_lines(go_sum).find_map(|(_, line)| match line.content {
            SumContent::Hash(sum) if sum.kind == Kind::Mod && !is_private(&sum.module.path) => match sum.hash {
                AnyHash::H1(h1) => Some(Self { module: sum.module, h1, from: "go.sum" }),
                AnyHash::Unknown(_) => None,
            },
            _ => None,
        });
        let (module, h1) = KNOWN;
        let known = || {
            let h1 = H1::parse(h1).ok()?;
            Some(Self { module: ModuleVersion::parse(module).ok()?, h1, from: "sum.golang.org" })
        };
        public.or_else(known)
    }
}

/// A server that `go` asked, with its last answer.
#[derive(Debug, PartialEq, Eq)]
enum Server<'a> {
    Proxy(&'a str, &'a str),
    /// The host of the module itself, or the host of its repository.
    Host(&'a str, &'a str),
}

/// The servers that `go` asked for a module, in order, each once.
fn servers<'a>(module: &ModuleVersion, requests: &'a [Request]) -> Vec<Server<'a>> {
    let of_proxy = format!("/{}/@v/", module.path.escaped());
    let mut found: Vec<Server<'a>> = Vec::new();
    for Request { url, answer } in requests {
        let is_of_a_database = || ["/sumdb/", "/lookup/", "/tile/"].iter().any(|part| url.contains(part));
        let next = match url.split_once(&of_proxy) {
            Some((base, _)) => Server::Proxy(base, answer),
            None if is_of_a_database() => continue,
            None => Server::Host(url, answer),
        };
        match (found.last_mut(), next) {
            (Some(Server::Proxy(base, last)), Server::Proxy(again, answer)) if *base == again => *last = answer,
            (Some(Server::Host(_, last)), Server::Host(_, answer)) => *last = answer,
            (_, next) => found.push(next),
        }
    }
    found
}

fn shown(server: &Server<'_>, module: &ModuleVersion) -> String {
    match server {
        Server::Proxy(base, answer) => format!("asked {base} for {module}: {answer}"),
        Server::Host(url, answer) => format!("asked past every proxy, at {url}: {answer}"),
    }
}

/// Whether an answer says nothing about what the server is: no connection, a login, or trouble.
fn is_trouble(answer: &str) -> bool {
    let status = answer.split(' ').next().and_then(|status| status.parse::<u16>().ok());
    status.is_none_or(|status| matches!(status, 401 | 407 | 429 | 500..=599))
}

/// Judges what `go` did when it was told to ask for the module that every mirror refuses.
pub fn refused(module: &ModuleVersion, asking: &Asking) -> Seen {
    let asked = servers(module, &asking.requests);
    let is_refusal = asking.words.contains(REFUSED_WORDS);
    let mut lines: Vec<String> = asked.iter().map(|server| shown(server, module)).collect();
    let (verdict, why) = match asked.as_slice() {
        [Server::Proxy(base, _)] if is_refusal => {
            lines = vec![format!("asked {base} for {module}: refused as expected")];
            return Seen { verdict: InTheWay::Yes, lines, mirror: Some((*base).to_owned()) };
        }
        [Server::Proxy(base, answer)] if is_trouble(answer) => (
            InTheWay::Unknown,
            format!("{base} is not reached, so what it is remains unknown; `go` stops there and gets nothing"),
        ),
        [Server::Proxy(base, _)] => (
            InTheWay::No,
            format!("{base} is not a sumgate mirror, which would have refused the module in words of its own"),
        ),
        [] => (InTheWay::No, format!("`go` asked no server: {}", first_line(&asking.words))),
        [Server::Host(..)] => (InTheWay::No, "`go` asked the host of the module itself: it asks no mirror".to_owned()),
        [first, .., last] => {
            let next = match last {
                Server::Proxy(base, _) => format!("goes on to {base}"),
                Server::Host(..) => "goes on to the host of the module itself".to_owned(),
            };
            let first = match first {
                Server::Proxy(base, _) => base,
                Server::Host(url, _) => url,
            };
            (InTheWay::No, format!("after {first}, `go` {next}: what one refuses, it takes from the other"))
        }
    };
    lines.push(why);
    Seen { verdict, lines, mirror: None }
}

fn first_line(words: &str) -> &str {
    words.lines().next().unwrap_or("it gave no reason")
}

impl Seen {
    /// Adds what `go` did when it was told to ask for a module that a mirror must release.
    pub fn released(&mut self, known: &KnownModule, asking: &Asking) {
        let KnownModule { module, h1, from } = known;
        let asked = servers(module, &asking.requests);
        let others = asked.iter().filter(|server| match server {
            Server::Proxy(base, _) => Some(*base) != self.mirror.as_deref(),
            Server::Host(..) => true,
        });
        let others = others.count();
        match asking.go_mod.as_deref().map(hash_go_mod) {
            Some(found) if found == *h1 => {
                let whom = asked.last().map_or_else(|| "nobody".to_owned(), |server| whom(server));
                self.lines.push(format!("asked {whom} for the go.mod of {module}: released, with the hash of {from}"));
                self.lines.push(compared(module, asking));
            }
            Some(found) => {
                self.verdict = InTheWay::No;
                self.lines.push(format!("the go.mod of {module} has the hash {found}: expected {h1} of {from}"));
            }
            None => {
                self.lines.extend(asked.iter().map(|server| shown(server, module)));
                let why = first_line(&asking.words);
                self.lines.push(format!("the go.mod of {module} was not released, as it must be: {why}"));
                if self.verdict == InTheWay::Yes {
                    self.verdict = InTheWay::Unknown;
                }
            }
        }
        if self.verdict == InTheWay::Yes && others > 0 {
            self.verdict = InTheWay::No;
            self.lines.extend(asked.iter().map(|server| shown(server, module)));
        }
    }

    /// The last lines: the verdict, and what remains to be said of the settings.
    pub fn conclusion(&self, go: &GoEnv) -> String {
        let mut text = match (&self.verdict, &self.mirror) {
            (InTheWay::Yes, Some(mirror)) => format!("a sumgate mirror is in the way of `go`: {mirror}\n"),
            (InTheWay::Unknown, Some(mirror)) => {
                format!("a sumgate mirror is in the way, but does not release: {mirror}\n")
            }
            (InTheWay::Unknown, None) => "whether a sumgate mirror is in the way is unknown\n".to_owned(),
            (InTheWay::No | InTheWay::Yes, _) => {
                let set = ["GOPROXY", "GOPRIVATE", "GONOPROXY"].into_iter().filter(|name| !go.get(name).is_empty());
                let set: Vec<String> = set.map(|name| format!("{name}={}", without_logins(go.get(name)))).collect();
                format!(
                    "NO sumgate mirror is in the way of `go`: set GOPROXY to a mirror alone, as `sumgate env` \
                         prints it; the settings are {}\n",
                    set.join(" ")
                )
            }
        };
        if self.verdict == InTheWay::Yes {
            let (proxies, past) = (without_logins(go.get("GOPROXY")), go.get("GONOPROXY"));
            if has_fallback(&proxies) {
                let _ = writeln!(text, "note: after a 404 of the mirror, `go` asks the others in GOPROXY={proxies}");
            }
            if !matches!(past, "" | "none") {
                let _ = writeln!(text, "note: `go` asks no mirror for the modules of GONOPROXY={past}");
            }
        }
        text
    }
}

fn whom(server: &Server<'_>) -> String {
    match server {
        Server::Proxy(base, _) | Server::Host(base, _) => (*base).to_owned(),
    }
}

/// Whether `go` itself looked the module up in a checksum database.
fn compared(module: &ModuleVersion, asking: &Asking) -> String {
    let lookup = format!("/lookup/{}@{}", module.path.escaped(), module.version.escaped());
    let mut lookups = asking.requests.iter().filter_map(|request| request.url.strip_suffix(&lookup));
    match lookups.next_back() {
        Some(at) => format!("`go` compared it with the checksum database, asked at {at}"),
        None => "note: `go` itself asked no checksum database about it (GOSUMDB, GONOSUMDB, GOPRIVATE)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn module(text: &str) -> ModuleVersion {
        ModuleVersion::parse(text).unwrap()
    }

    fn asking(requests: &[(&str, &str)], words: &str) -> Asking {
        let request = |(url, answer): &(&str, &str)| Request { url: (*url).to_owned(), answer: (*answer).to_owned() };
        Asking { requests: requests.iter().map(request).collect(), go_mod: None, words: words.to_owned() }
    }

    #[test]
    fn only_one_mirror_that_is_the_last_to_be_asked_is_in_the_way() {
        let words = format!("go: x {REFUSED_WORDS}");
        let (mirror, other) =
            ("http://m/sumgate.invalid/refused/@v/v1.0.0.info", "http://o/sumgate.invalid/refused/@v/v1.0.0.info");
        let host = "https://sumgate.invalid/refused?go-get=1";
        let verdict = |requests: &[(&str, &str)], words: &str| {
            refused(&module("sumgate.invalid/refused@v1.0.0"), &asking(requests, words)).verdict
        };
        let refusal = (mirror, "403 Forbidden");
        assert_eq!(verdict(&[refusal], &words), InTheWay::Yes);
        assert_eq!(verdict(&[refusal, refusal], &words), InTheWay::Yes, "over https, go asks twice");
        for (requests, said) in [
            (&[refusal][..], "go: denied"),
            (&[(mirror, "404 Not Found")], ""),
            (&[(other, "404 Not Found"), refusal], &*words),
            (&[refusal, (other, "404 Not Found")], &*words),
            (&[refusal, (host, "no such host")], &*words),
            (&[(host, "no such host")], ""),
            (&[], "go: module lookup disabled by GOPROXY=off"),
        ] {
            assert_eq!(verdict(requests, said), InTheWay::No, "{requests:?}");
        }
        for trouble in ["502 Bad Gateway", "401 Unauthorized", "Get \"http://m\": dial tcp: connection refused"] {
            assert_eq!(verdict(&[(mirror, trouble)], ""), InTheWay::Unknown, "{trouble}");
            assert_eq!(verdict(&[(mirror, trouble), (host, "no such host")], ""), InTheWay::No, "{trouble}");
        }
    }

    #[test]
    fn no_private_module_of_go_sum_is_asked_for() {
        let h1 = "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=";
        let sum =
            format!("corp.example/a v1.0.0/go.mod {h1}\nb.example/c v1.0.0 {h1}\nb.example/c v1.1.0/go.mod {h1}\n");
        let of = |private: &str| {
            let is_private = |path: &ModulePath| path.host() == private || private.is_empty();
            KnownModule::of(sum.as_bytes(), is_private).unwrap().module.to_string()
        };
        assert_eq!((of("corp.example"), of("")), ("b.example/c@v1.1.0".to_owned(), KNOWN.0.to_owned()));
    }
}
