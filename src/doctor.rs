//! The doctor: which settings of an environment weaken the checks of `go`.
//!
//! [`gather`] reads the environment; [`examine`] judges it, without I/O. [`refused`] judges what `go` did when it asked for a
//! module.

mod gather;
mod in_the_way;

pub use in_the_way::{InTheWay, KnownModule, Seen, refused};

pub use gather::{GoSettings, Heads, gather};

use gather::own_mirror;

use crate::base::process::quoted;
use crate::finding::{Code, Finding};
use crate::go::environment::GoEnv;
use crate::policy::two_public;
use gomodule::goversion::GoVersion;

/// The first releases of their lines that verify the checksum database correctly.
const FIXED: [&str; 2] = ["go1.25.13", "go1.26.6"];

/// What is wrong with the settings.
pub fn examine(settings: &GoSettings) -> Vec<Finding> {
    let go = &settings.go;
    let mut found = Vec::new();
    let mut add = |code, message: String| found.push(Finding::new(code, message));
    if go.get("GOSUMDB") == "off" {
        add(Code::SumdbOff, "GOSUMDB is off".to_owned());
    }
    for (code, name) in [(Code::WideNosumdb, "GONOSUMDB"), (Code::WidePrivate, "GOPRIVATE")] {
        let patterns = go.get(name);
        let inherited = name == "GONOSUMDB" && patterns == go.get("GOPRIVATE");
        if let Some([one, other]) = two_public(patterns).filter(|_| !inherited) {
            add(code, format!("{name} is {patterns}, which covers {one} and {other}"));
        }
    }
    let proxies = go.get("GOPROXY");
    if let (Some(mirror), true) = (own_mirror(go), has_fallback(proxies)) {
        let [proxies, mirror] = [proxies, &mirror].map(without_logins);
        add(Code::DirectBehindMirror, format!("GOPROXY is {proxies}: after {mirror} it lists a fallback"));
    }
    if proxies.contains("file://") && go.get("GOTOOLCHAIN") != "local" {
        add(Code::FileProxy, format!("GOPROXY is {}", without_logins(proxies)));
    }
    if let Some(version) = GoVersion::parse(go.get("GOVERSION")).filter(is_old).filter(|_| !chooses_fixed(go)) {
        add(Code::OldGo, format!("the go command is {version}"));
    }
    if let Some(Heads { client, mirror }) = settings.heads.filter(|heads| heads.client > heads.mirror) {
        let message = format!("go remembers a tree of {client} records, but the mirror has {mirror}");
        add(Code::MirrorBehind, message);
    }
    if let Some(error) = &settings.mirror_error {
        add(Code::MirrorUnreachable, error.clone());
    }
    if !matches!(go.get("GOINSECURE"), "" | "none") {
        add(Code::Insecure, format!("GOINSECURE is {}", go.get("GOINSECURE")));
    }
    if settings.no_certificates {
        add(Code::BuiltInRoots, "there is no file or folder of CA certificates on this machine".to_owned());
    }
    let orphans = settings.orphans.iter();
    found.extend(orphans.map(|path| Finding::new(Code::SumWithoutMod, "it has no go.mod beside it").at(path)));
    found
}

/// A command that would fix a finding. It is printed, never run.
pub fn fix(finding: &Finding, go: &GoEnv) -> Option<String> {
    let unset = |name: &str| {
        if go.is_variable(name) { format!("unset {name}") } else { format!("go env -u {name}") }
    };
    let set = |name: &str, value: &str| {
        let set = quoted(&format!("{name}={value}"));
        if go.is_variable(name) { format!("export {set}") } else { format!("go env -w {set}") }
    };
    match finding.code {
        // Unsetting it could reveal an "off" of `go env -w`, or of the go.env of a distribution.
        Code::SumdbOff => Some(set("GOSUMDB", "sum.golang.org")),
        Code::WideNosumdb => Some(unset("GONOSUMDB")),
        Code::WidePrivate => Some(unset("GOPRIVATE")),
        Code::DirectBehindMirror => own_mirror(go).map(|mirror| set("GOPROXY", &mirror)),
        Code::FileProxy => Some(set("GOTOOLCHAIN", "local")),
        Code::OldGo => Some(set("GOTOOLCHAIN", &format!("{}+auto", FIXED[1]))),
        Code::Insecure => Some(unset("GOINSECURE")),
        Code::SumWithoutMod => Some(format!("git rm -- {}", quoted(finding.place.as_ref()?.file.to_str()?))),
        _ => None,
    }
}

/// A proxy list without the logins in its URLs: messages are in the logs of jobs.
fn without_logins(proxies: &str) -> String {
    let one = |proxy: &str| {
        let Some((scheme, rest)) = proxy.split_once("://") else { return proxy.to_owned() };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        format!("{scheme}://{}{path}", authority.rsplit_once('@').map_or(authority, |(_, host)| host))
    };
    proxies.split_inclusive([',', '|']).map(one).collect()
}

/// Whether `go` asks anything after the first proxy. `off` ends the list.
fn has_fallback(proxies: &str) -> bool {
    let mut names = proxies.split([',', '|']).map(str::trim).filter(|name| !name.is_empty());
    names.nth(1).is_some_and(|second| second != "off")
}

/// Whether GOTOOLCHAIN has `go` run a fixed version instead of itself (`go1.26.6`, `go1.26.6+auto`).
fn chooses_fixed(go: &GoEnv) -> bool {
    let name = go.get("GOTOOLCHAIN").split('+').next().unwrap_or_default();
    GoVersion::parse(name).is_some_and(|version| !is_old(&version))
}

fn is_old(version: &GoVersion) -> bool {
    let fixed = FIXED.iter().filter_map(|text| GoVersion::parse(text));
    let of_line = fixed.clone().find(|fixed| fixed.line() == version.line());
    of_line.or_else(|| fixed.max()).is_some_and(|fixed| *version < fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(environment: &[(&str, &str)]) -> Vec<Code> {
        let settings = GoSettings { go: GoEnv::of(environment), ..GoSettings::default() };
        examine(&settings).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn the_defaults_of_go_have_no_finding() {
        assert_eq!(codes(&[]), []);
        assert_eq!(codes(&[("GOPROXY", "https://mirror.example"), ("GOPRIVATE", "corp.example,github.com/us/*")]), []);
    }

    #[test]
    fn every_weakness_has_its_code() {
        for (name, value, code) in [
            ("GOSUMDB", "off", Code::SumdbOff),
            ("GONOSUMDB", "*", Code::WideNosumdb),
            ("GONOSUMDB", "github.com", Code::WideNosumdb),
            ("GONOSUMDB", "corp.example,[,golang.org/*/*", Code::WideNosumdb),
            ("GOPRIVATE", "*.*", Code::WidePrivate),
            ("GOPROXY", "https://mirror.example,direct", Code::DirectBehindMirror),
            ("GOPROXY", "https://mirror.example|https://proxy.golang.org", Code::DirectBehindMirror),
            ("GOPROXY", "https://mirror.example,https://other.example,off", Code::DirectBehindMirror),
            ("GOPROXY", "mirror.example,direct", Code::DirectBehindMirror),
            ("GOPROXY", "file:///srv/go", Code::FileProxy),
            ("GOVERSION", "go1.26.5", Code::OldGo),
            ("GOVERSION", "go1.24.99", Code::OldGo),
            ("GOVERSION", "go1.26rc2", Code::OldGo),
            ("GOINSECURE", "*", Code::Insecure),
        ] {
            assert_eq!(codes(&[(name, value)]), [code], "{name}={value}");
        }
        for version in ["go1.25.13", "go1.25.14", "go1.26.6", "go1.27.0", "go1.28rc1"] {
            assert_eq!(codes(&[("GOVERSION", version)]), [], "{version}");
        }
        assert_eq!(codes(&[("GOPROXY", "file:///srv/go"), ("GOTOOLCHAIN", "local")]), []);
        for proxies in ["https://mirror.example,off", "https://mirror.example,", " https://mirror.example | off"] {
            assert_eq!(codes(&[("GOPROXY", proxies)]), [], "{proxies}");
        }
    }

    #[test]
    fn the_command_for_an_old_go_fixes_it() {
        let old = ("GOVERSION", "go1.26.5");
        for toolchain in ["go1.26.6+auto", "go1.27.0"] {
            assert_eq!(codes(&[old, ("GOTOOLCHAIN", toolchain)]), [], "{toolchain}");
        }
        for toolchain in ["auto", "local", "go1.26.5", "go1.25.12+auto"] {
            assert_eq!(codes(&[old, ("GOTOOLCHAIN", toolchain)]), [Code::OldGo], "{toolchain}");
        }
    }

    #[test]
    fn a_command_that_is_printed_can_be_pasted() {
        let go = GoEnv::default();
        let orphan = |file: &str| fix(&Finding::new(Code::SumWithoutMod, "").at(file), &go);
        assert_eq!(orphan("a/go.sum").unwrap_or_default(), "git rm -- a/go.sum");
        assert_eq!(orphan("a b;id #'/go.sum").unwrap_or_default(), r"git rm -- 'a b;id #'\''/go.sum'");
        let go = GoEnv::of(&[("GOPROXY", "http://m.example/$(id),direct")]);
        let found = Finding::new(Code::DirectBehindMirror, "");
        assert_eq!(fix(&found, &go).unwrap_or_default(), "export 'GOPROXY=http://m.example/$(id)'");
    }

    #[test]
    fn no_message_has_a_login() {
        let proxies =
            "https://user:secret@a.example/go|http://b.example,https://token@c.example,file:///srv/x@y,direct";
        let expected = "https://a.example/go|http://b.example,https://c.example,file:///srv/x@y,direct";
        assert_eq!(without_logins(proxies), expected);
        let settings = GoSettings { go: GoEnv::of(&[("GOPROXY", proxies)]), ..GoSettings::default() };
        let found = examine(&settings);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|finding| !finding.message.contains("secret") && !finding.message.contains("token")));
    }

    #[test]
    fn only_a_mirror_with_a_smaller_tree_is_a_finding() {
        let with = |client, mirror| GoSettings { heads: Some(Heads { client, mirror }), ..GoSettings::default() };
        assert_eq!(examine(&with(10, 9)).len(), 1);
        assert_eq!(examine(&with(9, 9)).len(), 0);
    }
}
