//! Versions of `go` itself: `go1.26.6`, `go1.27rc1` (<https://go.dev/doc/toolchain#version>).

use std::fmt;

use crate::module::ModuleVersion;

/// A version of the `go` toolchain. Pre-releases come before the release: `go1.27beta1` < `go1.27rc1` < `go1.27.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoVersion {
    major: u32,
    minor: u32,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Beta(u32),
    Candidate(u32),
    Release(u32),
}

impl GoVersion {
    /// Parses `go1.26.6`. Ignores a suffix after a space or `-`, which vendors add.
    ///
    /// ```
    /// use gomodule::goversion::GoVersion;
    /// assert!(GoVersion::parse("go1.27rc1") < GoVersion::parse("go1.27.0"));
    /// assert_eq!(GoVersion::parse("go1.26"), GoVersion::parse("go1.26.0"));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("go")?.split([' ', '-']).next()?;
        let (major, rest) = text.split_once('.')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (minor, rest) = rest.split_at(end);
        let stage = match (rest.strip_prefix("beta"), rest.strip_prefix("rc"), rest.strip_prefix('.')) {
            (Some(nth), ..) => Stage::Beta(number(nth)?),
            (_, Some(nth), _) => Stage::Candidate(number(nth)?),
            (.., Some(patch)) => Stage::Release(number(patch)?),
            _ if rest.is_empty() => Stage::Release(0),
            _ => return None,
        };
        Some(Self { major: number(major)?, minor: number(minor)?, stage })
    }

    /// The version of a toolchain module such as `golang.org/toolchain@v0.0.1-go1.26.6.linux-amd64`.
    pub fn of_toolchain(module: &ModuleVersion) -> Option<Self> {
        let name = module.version.as_ref().strip_prefix("v0.0.1-").filter(|_| module.path.is_toolchain())?;
        Self::parse(name.rsplit_once('.')?.0)
    }

    /// Major and minor version, which all releases of one line share.
    pub fn line(&self) -> (u32, u32) {
        (self.major, self.minor)
    }
}

/// Whether the version of one `go` line is newer than that of another (`cmd/go/internal/gover`, Compare): since 1.21 the
/// language version 1.21 is older than its first release candidate. Versions that cannot be parsed are not compared.
///
/// ```
/// use gomodule::goversion::is_newer;
/// assert!(is_newer("1.21rc1", "1.21") && is_newer("1.21.0", "1.21rc1") && !is_newer("1.20.0", "1.20"));
/// ```
pub fn is_newer(version: &str, than: &str) -> bool {
    let parse = |text: &str| GoVersion::parse(&format!("go{text}"));
    let is_language = |text: &str| text.matches('.').count() == 1 && text.bytes().all(|b| !b.is_ascii_alphabetic());
    let (Some(new), Some(old)) = (parse(version), parse(than)) else { return false };
    if new.line() == old.line() && new.line() >= (1, 21) && (is_language(version) || is_language(than)) {
        return !is_language(version);
    }
    new > old
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go{}.{}", self.major, self.minor)?;
        match self.stage {
            Stage::Beta(nth) => write!(f, "beta{nth}"),
            Stage::Candidate(nth) => write!(f, "rc{nth}"),
            Stage::Release(patch) => write!(f, ".{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn versions_are_ordered_and_toolchains_have_one() {
        let order = ["go1.9.7", "go1.26beta1", "go1.26rc1", "go1.26rc2", "go1.26", "go1.26.1", "go1.26.10", "go1.27.0"];
        let parsed: Vec<GoVersion> = order.iter().map(|text| GoVersion::parse(text).unwrap()).collect();
        assert!(parsed.is_sorted());
        assert_eq!(GoVersion::parse("go1.27.3 X:boringcrypto").unwrap().to_string(), "go1.27.3");
        for none in ["1.26", "go", "go1", "go1.x", "go1.2.x", "devel go1.27-abc", "go1.+2"] {
            assert_eq!(GoVersion::parse(none), None, "{none}");
        }
        let toolchain = ModuleVersion::parse("golang.org/toolchain@v0.0.1-go1.26.6.linux-amd64").unwrap();
        assert_eq!(GoVersion::of_toolchain(&toolchain).unwrap().to_string(), "go1.26.6");
    }
}
