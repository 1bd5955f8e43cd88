//! The doctor: what of an environment weakens the checks of `go`.
//!
//! [`gather`] looks, [`examine`] judges what was seen and touches nothing.

#[expect(clippy::disallowed_methods, reason = "it reads the file that has the state of the go command")]
mod gather;

pub use gather::{GoSettings, Heads, gather};

use gather::own_mirror;

use crate::base::process::quoted;
use crate::finding::{Code, Finding};
use crate::go::environment::GoEnv;
use crate::policy::two_public;
use gomodule::goversion::GoVersion;

/// The first releases of their lines whose verifier is mended.
const MENDED: [&str; 2] = ["go1.25.13", "go1.26.6"];

/// Judges what was seen.
pub fn examine(seen: &GoSettings) -> Vec<Finding> {
    let go = &seen.go;
    let mut found = Vec::new();
    if go.get("GOSUMDB") == "off" {
        found.push(Finding::new(Code::SumdbOff, "GOSUMDB is off"));
    }
    for (code, name) in [(Code::WideNosumdb, "GONOSUMDB"), (Code::WidePrivate, "GOPRIVATE")] {
        let patterns = go.get(name);
        let inherited = name == "GONOSUMDB" && patterns == go.get("GOPRIVATE");
        if let Some([one, other]) = two_public(patterns).filter(|_| !inherited) {
            found.push(Finding::new(code, format!("{name} is {patterns}, which covers {one} and {other}")));
        }
    }
    let proxies = go.get("GOPROXY");
    if let (Some(mirror), true) = (own_mirror(go), goes_on(proxies)) {
        found.push(Finding::new(
            Code::DirectBehindMirror,
            format!("GOPROXY is {proxies}: after {mirror} it lists a fallback"),
        ));
    }
    if proxies.contains("file://") && go.get("GOTOOLCHAIN") != "local" {
        found.push(Finding::new(Code::FileProxy, format!("GOPROXY is {proxies}")));
    }
    if let Some(version) = GoVersion::parse(go.get("GOVERSION")).filter(is_old).filter(|_| !chooses_mended(go)) {
        found.push(Finding::new(Code::OldGo, format!("the go command is {version}")));
    }
    if let Some(Heads { client, mirror }) = seen.heads.filter(|heads| heads.client > heads.mirror) {
        let message = format!("go remembers a tree of {client} records here, and the mirror has {mirror}");
        found.push(Finding::new(Code::MirrorBehind, message));
    }
    for orphan in &seen.orphans {
        found.push(Finding::new(Code::SumWithoutMod, "it has no go.mod beside it").at(orphan));
    }
    if let Some(why) = &seen.silent_mirror {
        found.push(Finding::new(Code::MirrorUnreachable, why.clone()));
    }
    if !matches!(go.get("GOINSECURE"), "" | "none") {
        found.push(Finding::new(Code::Insecure, format!("GOINSECURE is {}", go.get("GOINSECURE"))));
    }
    found
}

/// A command that would mend a finding. It is printed, never run.
pub fn mend(finding: &Finding, go: &GoEnv) -> Option<String> {
    let unset = |name: &str| {
        if go.is_variable(name) { format!("unset {name}") } else { format!("go env -u {name}") }
    };
    let set = |name: &str, value: &str| {
        let set = quoted(&format!("{name}={value}"));
        if go.is_variable(name) { format!("export {set}") } else { format!("go env -w {set}") }
    };
    match finding.code {
        // To unset it could bring an older "off" to light: of `go env -w`, or of the go.env of a distribution.
        Code::SumdbOff => Some(set("GOSUMDB", "sum.golang.org")),
        Code::WideNosumdb => Some(unset("GONOSUMDB")),
        Code::WidePrivate => Some(unset("GOPRIVATE")),
        Code::DirectBehindMirror => own_mirror(go).map(|mirror| set("GOPROXY", mirror)),
        Code::FileProxy => Some(set("GOTOOLCHAIN", "local")),
        Code::OldGo => Some(set("GOTOOLCHAIN", &format!("{}+auto", MENDED[1]))),
        Code::Insecure => Some(unset("GOINSECURE")),
        Code::SumWithoutMod => {
            let file = finding.place.as_ref()?.file.to_str()?;
            Some(format!("git rm -- {}", quoted(file)))
        }
        _ => None,
    }
}

/// Whether `go` asks something else after the first proxy. `off` is the end of it.
fn goes_on(proxies: &str) -> bool {
    let names = proxies.split([',', '|']).map(str::trim).filter(|name| !name.is_empty());
    names.skip(1).take(1).any(|second| second != "off")
}

/// Whether GOTOOLCHAIN has `go` run a mended version in its own place (`go1.26.6`, `go1.26.6+auto`).
fn chooses_mended(go: &GoEnv) -> bool {
    let name = go.get("GOTOOLCHAIN").split('+').next().unwrap_or_default();
    GoVersion::parse(name).is_some_and(|version| !is_old(&version))
}

fn is_old(version: &GoVersion) -> bool {
    let mended = MENDED.iter().filter_map(|text| GoVersion::parse(text));
    let of_line = mended.clone().find(|mended| mended.line() == version.line());
    of_line.or_else(|| mended.max()).is_some_and(|mended| *version < mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(environment: &[(&str, &str)]) -> Vec<Code> {
        let seen = GoSettings { go: GoEnv::of(environment), ..GoSettings::default() };
        examine(&seen).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn gos_own_defaults_are_fine() {
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
    fn the_command_for_an_old_go_mends_it() {
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
        let orphan = |file: &str| mend(&Finding::new(Code::SumWithoutMod, "").at(file), &go);
        assert_eq!(orphan("a/go.sum").unwrap_or_default(), "git rm -- a/go.sum");
        assert_eq!(orphan("a b;id #'/go.sum").unwrap_or_default(), r"git rm -- 'a b;id #'\''/go.sum'");
        let go = GoEnv::of(&[("GOPROXY", "http://m.example/$(id),direct")]);
        let found = Finding::new(Code::DirectBehindMirror, "");
        assert_eq!(mend(&found, &go).unwrap_or_default(), "export 'GOPROXY=http://m.example/$(id)'");
    }

    #[test]
    fn heads_are_compared_and_the_older_client_is_fine() {
        let with = |client, mirror| GoSettings { heads: Some(Heads { client, mirror }), ..GoSettings::default() };
        assert_eq!(examine(&with(10, 9)).len(), 1);
        assert_eq!(examine(&with(9, 9)).len(), 0);
    }
}
