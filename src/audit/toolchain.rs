//! The toolchains that `go` and `toolchain` lines of go.mod and go.work make `go` download
//! (`cmd/go/internal/toolchain/select.go`, <https://go.dev/doc/toolchain>).
//!
//! A `toolchain` line is always audited. A `go` line names a minimum version: it is audited if that is newer than the local
//! `go`, or, without a local `go`, than go1.21, the first version that downloads toolchains.

use std::collections::HashSet;
use std::env::consts;
use std::path::Path;

use super::entry::{MAX_FINDINGS, more};
use super::{Entry, NamedModule};
use crate::finding::{Code, Finding, Place};
use crate::go::environment::GoEnv;
use gomodule::gomod::{ToolchainLine, toolchain_lines};
use gomodule::goversion::GoVersion;
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// The first `go` that downloads toolchains, and whose first release has a third number.
const FIRST: &str = "go1.21.0";

/// The `go` of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalGo {
    version: Option<GoVersion>,
    /// As in names of toolchains: `linux-amd64`.
    platform: String,
}

impl LocalGo {
    /// From the settings of `go`; without a local `go`, from the target of this program.
    pub fn of(go: &GoEnv) -> Self {
        let or = |name: &str, other: &'static str| {
            Some(go.get(name)).filter(|set| !set.is_empty()).unwrap_or(other).to_owned()
        };
        let os = or("GOHOSTOS", if consts::OS == "macos" { "darwin" } else { consts::OS });
        let arch = match consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        let version = GoVersion::parse(go.get("GOVERSION"));
        Self { version, platform: format!("{os}-{}", or("GOHOSTARCH", arch)) }
    }

    /// The toolchains that lines of a file name, except the lines that `then` has.
    pub(super) fn entries(&self, file: &Path, now: &[u8], then: &[u8]) -> Vec<Entry> {
        let lines = |text: &[u8]| toolchain_lines(&String::from_utf8_lossy(text));
        let mut seen: HashSet<(&str, String)> = lines(then).into_iter().map(|line| (line.verb, line.name)).collect();
        // Each line once: an untrusted file may have a million.
        let new: Vec<ToolchainLine> =
            lines(now).into_iter().filter(|line| seen.insert((line.verb, line.name.clone()))).collect();
        let entries = new.iter().take(MAX_FINDINGS).filter_map(|line| self.entry(file, line));
        entries.chain(more(file, Code::InvalidGoMod, new.len()).map(Entry::Finding)).collect()
    }

    fn entry(&self, file: &Path, line: &ToolchainLine) -> Option<Entry> {
        let place = Place { file: file.into(), line: Some(line.line) };
        if line.verb == "toolchain" && line.name == "default" {
            return None;
        }
        let name = if line.verb == "go" { format!("go{}", line.name) } else { line.name.clone() };
        // A `toolchain` line may have a vendor suffix after `-`; a `go` line must not.
        let version = GoVersion::parse(&name).filter(|_| line.verb == "toolchain" || !name.contains('-'));
        let module = version.as_ref().and_then(|version| self.module(&name, version));
        let (Some(version), Some(module)) = (version, module) else {
            let message = format!("the {} line does not name a valid Go version", line.verb);
            return Some(Entry::Finding(Finding::new(Code::InvalidGoMod, message).at(place)));
        };
        let here = self.version.clone().or_else(|| GoVersion::parse(FIRST));
        let is_audited = line.verb == "toolchain" || here.is_none_or(|here| version > here);
        is_audited.then_some(Entry::Named(NamedModule { place, module, line: format!("{} {}", line.verb, line.name) }))
    }

    /// The module that `go` downloads for the name. A language version such as 1.21 means its first release, 1.21.0.
    fn module(&self, name: &str, version: &GoVersion) -> Option<ModuleVersion> {
        let is_language = !name.contains("rc") && !name.contains("beta") && name.matches('.').count() == 1;
        let is_released_with_zero = GoVersion::parse(FIRST).is_some_and(|first| *version >= first);
        let zero = if is_language && is_released_with_zero { ".0" } else { "" };
        let path = ModulePath::parse("golang.org/toolchain").ok()?;
        let version = Version::parse(&format!("v0.0.1-{name}{zero}.{}", self.platform)).ok()?;
        ModuleVersion::new(path, version).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(go: &[(&str, &str)], text: &str) -> Vec<String> {
        let go = GoEnv::of(&[go, &[("GOHOSTOS", "linux"), ("GOHOSTARCH", "arm64")]].concat());
        let entries = LocalGo::of(&go).entries(Path::new("go.mod"), text.as_bytes(), b"");
        let shown = |entry: Entry| match entry {
            Entry::Named(at) => format!("{} {}", at.place, at.module.version),
            Entry::Finding(finding) => finding.code.name().to_owned(),
            Entry::Hash(_) | Entry::Unchecked(_) | Entry::Change(_) => "something else".to_owned(),
        };
        entries.into_iter().map(shown).collect()
    }

    #[test]
    fn lines_name_what_go_downloads() {
        let here = &[("GOVERSION", "go1.27.3")];
        for (text, expected) in [
            ("go 1.28\n", &["go.mod:1 v0.0.1-go1.28.0.linux-arm64"][..]),
            ("\ngo 1.28rc1\n", &["go.mod:2 v0.0.1-go1.28rc1.linux-arm64"]),
            ("go 1.27.4 // x\n", &["go.mod:1 v0.0.1-go1.27.4.linux-arm64"]),
            ("go 1.27.3\ngo 1.16\n", &[]),
            ("toolchain go1.26.5\n", &["go.mod:1 v0.0.1-go1.26.5.linux-arm64"]),
            ("toolchain go1.28.0-mine\n", &["go.mod:1 v0.0.1-go1.28.0-mine.linux-arm64"]),
            ("toolchain default\n", &[]),
            ("toolchain go1.28/../../x\ngo x\n", &["invalid-go-mod", "invalid-go-mod"]),
            // No line hides another.
            ("require x\ntoolchain go1.28.1\n", &["go.mod:2 v0.0.1-go1.28.1.linux-arm64"]),
        ] {
            assert_eq!(named(here, text), expected, "{text}");
        }
        assert_eq!(named(&[], "go 1.21\ngo 1.22\n"), ["go.mod:2 v0.0.1-go1.22.0.linux-arm64"]);
    }
}
