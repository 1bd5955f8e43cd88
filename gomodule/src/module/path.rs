//! Module paths (`module.CheckPath`, <https://go.dev/ref/mod#go-mod-file-ident>).
//!
//! Elements of `[-._~0-9A-Za-z]` between slashes. The first is a domain: lower case, with a dot, no leading `-`. No
//! element starts or ends with a dot, none is a device name of Windows nor looks like a short name of it. `/vN` at the end
//! must be 2 or more; below `gopkg.in` the path ends with `.vN`.

use std::fmt;

use super::version::{Version, escape, is_number, unescape};

/// A checked module path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModulePath(String);

/// Why a text is no module path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a module path: {why}")]
pub struct PathError {
    path: String,
    why: &'static str,
}

/// File systems take names of 255 bytes; upper case doubles, and `@version` and an ending follow.
const MAX_ELEMENT: usize = 120;
/// The longest paths seen have about 200 bytes.
const MAX_PATH: usize = 500;

/// Names that Windows takes for devices, with any ending.
pub(crate) const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The module whose versions are the toolchains of `go` (<https://go.dev/doc/toolchain>).
const TOOLCHAIN: &str = "golang.org/toolchain";

impl ModulePath {
    /// Whether its versions are toolchains.
    pub fn is_toolchain(&self) -> bool {
        self.0 == TOOLCHAIN
    }

    /// The module paths that this one lies below, the longest first, each with the rest of this path.
    pub fn prefixes(&self) -> impl Iterator<Item = (Self, String)> {
        let cuts = self.0.rmatch_indices('/').map(|(at, _)| (&self.0[..at], &self.0[at + 1..]));
        cuts.filter_map(|(above, below)| Some((Self::parse(above).ok()?, below.to_owned())))
    }

    /// Checks a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        match flaw(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(PathError { path: text.to_owned(), why }),
        }
    }

    /// Reads the form with `!x` for upper case.
    pub fn unescape(escaped: &str) -> Result<Self, PathError> {
        let why = "upper case must be written as '!' and lower case";
        let text = unescape(escaped).ok_or_else(|| PathError { path: escaped.to_owned(), why })?;
        Self::parse(&text)
    }

    /// The form with `!x` for upper case.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }

    /// Whether `version` has the major version of this path.
    pub(super) fn takes(&self, version: &Version) -> bool {
        let major = version.major();
        match self.major_suffix() {
            None => major == "0" || major == "1" || version.is_incompatible(),
            // Tags of the time before modules: any pseudo-version of v0.0.0.
            Some(".v0" | ".v1" | ".v2" | ".v3" | ".v4") if is_v000_pseudo(version) && self.is_gopkg() => true,
            Some(suffix) => {
                let wanted = suffix[2..].trim_end_matches("-unstable");
                major == wanted && !version.is_incompatible()
            }
        }
    }

    fn is_gopkg(&self) -> bool {
        self.0.starts_with("gopkg.in/")
    }

    /// `/v2`, or `.v2` below gopkg.in.
    fn major_suffix(&self) -> Option<&str> {
        if self.is_gopkg() {
            return self.0.rfind(".v").map(|at| &self.0[at..]);
        }
        let at = self.0.rfind('/')?;
        self.0[at + 1..].strip_prefix('v').filter(|digits| is_number(digits)).map(|_| &self.0[at..])
    }
}

fn is_v000_pseudo(version: &Version) -> bool {
    version.is_pseudo() && version.as_ref().starts_with("v0.0.0-")
}

fn flaw(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Some("it must have 1 to 500 bytes");
    }
    let mut elements = path.split('/');
    let domain = elements.next().unwrap_or_default();
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !domain.contains('.') {
        return Some("its first element must have a dot");
    }
    if domain.starts_with('-') || !domain.bytes().all(in_domain) {
        return Some("its first element must be lower case letters, digits, dots and '-', and not start with '-'");
    }
    if let Some(why) = path.split('/').find_map(element_flaw) {
        return Some(why);
    }
    if path.starts_with("gopkg.in/") {
        let major = path.rsplit_once(".v").map(|(_, major)| major.trim_end_matches("-unstable"));
        return (!major.is_some_and(is_number)).then_some("below gopkg.in it must end with .vN");
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let suffix = last.strip_prefix('v').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    match suffix {
        Some(digits) if elements.clone().next().is_some() && !digits.is_empty() => {
            let right = is_number(digits) && digits != "0" && digits != "1";
            (!right).then_some("a version at its end must be /v2 or higher, without leading zeros or dots")
        }
        _ => None,
    }
}

fn element_flaw(element: &str) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if element.is_empty() {
        return Some("it has an empty element");
    }
    if element.len() > MAX_ELEMENT {
        return Some("it has an element of more than 120 bytes");
    }
    if !element.bytes().all(plain) {
        return Some("elements are letters, digits, '-', '.', '_' and '~'");
    }
    if element.starts_with('.') || element.ends_with('.') {
        return Some("no element may start or end with a dot");
    }
    let stem = element.split('.').next().unwrap_or_default();
    if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
        return Some("it has an element that Windows takes for a device");
    }
    // `NAME~1` is how Windows shortens long names.
    let short = stem.rsplit_once('~').is_some_and(|(_, tail)| is_digits(tail));
    short.then_some("it has an element that ends in '~' and digits")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl AsRef<str> for ModulePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_go_accepts() {
        for path in [
            "example.com",
            "github.com/Azure/azure-sdk-for-go",
            "example.com/a/v2",
            "example.com/a/v10",
            "gopkg.in/yaml.v2",
            "gopkg.in/user/pkg.v3",
            "gopkg.in/foo.v2-unstable",
            "example.com/v",
            "example.com/vet",
            "example.com/a~b",
        ] {
            assert_eq!(ModulePath::parse(path).map(|p| p.to_string()), Ok(path.to_owned()));
        }
    }

    #[test]
    fn paths_that_go_refuses() {
        for path in [
            "",
            "example",
            "Example.com/a",
            "-x.com/a",
            "x_y.com/a",
            "example.com/",
            "/example.com",
            "example.com//a",
            "example.com/../a",
            "example.com/.a",
            "example.com/a.",
            "example.com/a b",
            "example.com/a\0",
            "example.com/ä",
            "example.com/con",
            "example.com/Aux.txt",
            "example.com/a~1",
            "example.com/v0",
            "example.com/a/v1",
            "example.com/a/v02",
            "example.com/a/v2.0",
            "gopkg.in/yaml",
            "gopkg.in/yaml.v02",
            "example.com/a\\b",
        ] {
            assert!(ModulePath::parse(path).is_err(), "{path:?}");
        }
        assert!(ModulePath::parse(&format!("example.com/{}", "a".repeat(121))).is_err());
        assert!(ModulePath::parse(&format!("example.com{}", "/abcdefghi".repeat(60))).is_err());
    }
}
