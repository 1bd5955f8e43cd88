//! Module paths (`module.CheckPath`, <https://go.dev/ref/mod#go-mod-file-ident>).
//!
//! Elements of `[-._~0-9A-Za-z]`, separated by slashes. The first is a lower case domain with a dot and without leading `-`.
//! No element starts or ends with a dot, is a Windows device name, or looks like a Windows short name. N in a final `/vN`
//! must be 2 or more; below `gopkg.in` the path must end with `.vN`.

use std::fmt;

use super::version::{BAD_ESCAPE, Version, escape, is_number, unescape};

/// A valid module path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModulePath(String);

/// Why a text is not a valid module path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a valid module path: {why}")]
pub struct PathError {
    path: String,
    why: &'static str,
}

/// File names may have 255 bytes. Escaping can double the length, and `@version` and an extension are added.
const MAX_ELEMENT: usize = 120;
/// The longest known paths have about 200 bytes.
const MAX_PATH: usize = 500;

/// Device names of Windows, which are reserved with any extension.
pub(crate) const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

impl ModulePath {
    /// Whether this is the module whose versions are the toolchains of `go` (<https://go.dev/doc/toolchain>).
    pub fn is_toolchain(&self) -> bool {
        self.0 == "golang.org/toolchain"
    }

    /// The first element.
    pub fn host(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The module paths above this one, the longest first, each with the remainder of this path.
    pub fn prefixes(&self) -> impl Iterator<Item = (Self, String)> {
        let cuts = self.0.rmatch_indices('/').map(|(at, _)| (&self.0[..at], &self.0[at + 1..]));
        cuts.filter_map(|(above, below)| Some((Self::parse(above).ok()?, below.to_owned())))
    }

    /// Parses a module path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        match flaw(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(PathError { path: text.to_owned(), why }),
        }
    }

    /// Parses the escaped form, which has `!x` for upper case `X`.
    pub fn unescape(escaped: &str) -> Result<Self, PathError> {
        let text = unescape(escaped).ok_or_else(|| PathError { path: escaped.to_owned(), why: BAD_ESCAPE })?;
        Self::parse(&text)
    }

    /// The escaped form, which has `!x` for upper case `X`.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }

    /// Whether the major version of `version` matches this path.
    pub(super) fn allows(&self, version: &Version) -> bool {
        let major = version.major();
        match self.major_suffix() {
            None => major == "0" || major == "1" || version.is_incompatible(),
            // An old `go` wrote such versions, and old go.mod files require them.
            Some(".v1" | ".v1-unstable") if version.as_ref().starts_with("v0.0.0-") => true,
            Some(suffix) => major == without_unstable(&suffix[2..]) && !version.is_incompatible(),
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

/// The number of a major version below gopkg.in, which may end with `-unstable`.
fn without_unstable(major: &str) -> &str {
    major.strip_suffix("-unstable").unwrap_or(major)
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
        let major = path.rsplit_once(".v").map(|(_, major)| without_unstable(major));
        return (!major.is_some_and(is_number)).then_some("below gopkg.in it must end with .vN");
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let looks_like_major =
        |digits: &&str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let major = last.strip_prefix('v').filter(looks_like_major).filter(|_| elements.next().is_some())?;
    let is_valid = is_number(major) && major != "0" && major != "1";
    (!is_valid).then_some("a major version at its end must be /v2 or higher, without leading zeros or dots")
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
    reserved(element)
}

/// Names that Windows gives another meaning.
fn reserved(element: &str) -> Option<&'static str> {
    let stem = element.split('.').next().unwrap_or_default();
    if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
        return Some("it has an element that is a Windows device name");
    }
    // `NAME~1` is the Windows short form of long names.
    let is_digits = |tail: &str| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
    let is_short = stem.rsplit_once('~').is_some_and(|(_, tail)| is_digits(tail));
    is_short.then_some("it has an element that ends in '~' and digits")
}

/// Whether a text may be the path of a package, or of a main module (`module.CheckImportPath`). It needs no domain.
pub(crate) fn is_import_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+".contains(&b);
    let is_element = |element: &str| {
        let is_dots = element.bytes().all(|b| b == b'.');
        !is_dots && !element.ends_with('.') && element.bytes().all(plain) && reserved(element).is_none()
    };
    !text.starts_with('-') && text.split('/').all(is_element)
}

/// The end of a path with a major version: `/v2`, or `.v2` below gopkg.in; empty if there is none. `None` if it is one that no
/// module path can have (`module.SplitPathVersion`). The path need not be valid otherwise.
pub(crate) fn major_suffix(path: &str) -> Option<&str> {
    let is_gopkg = path.starts_with("gopkg.in/");
    let whole = if is_gopkg { path.strip_suffix("-unstable").unwrap_or(path) } else { path };
    let digits = whole.trim_end_matches(|c: char| c.is_ascii_digit() || (c == '.' && !is_gopkg));
    let number = &whole[digits.len()..];
    let before = if is_gopkg { ".v" } else { "/v" };
    let Some(start) = digits.strip_suffix(before) else {
        return if is_gopkg { None } else { Some("") };
    };
    if number.is_empty() {
        return if is_gopkg { None } else { Some("") };
    }
    let is_valid = if is_gopkg { is_number(number) } else { is_number(number) && !matches!(number, "0" | "1") };
    is_valid.then(|| &path[start.len()..])
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
    fn a_major_version_at_the_end_is_split_off() {
        for (path, suffix) in [
            ("a.com/b", Some("")),
            ("a.com/b/v2", Some("/v2")),
            ("a.com/b/v10", Some("/v10")),
            ("corplib", Some("")),
            ("/v2", Some("/v2")),
            ("a/v", Some("")),
            ("a/vx", Some("")),
            ("a/v1", None),
            ("a/v0", None),
            ("a/v02", None),
            ("a/v2.0", None),
            ("a/v2.", None),
            ("gopkg.in/a.v0", Some(".v0")),
            ("gopkg.in/a.v3-unstable", Some(".v3-unstable")),
            ("gopkg.in/a.v01", None),
            ("gopkg.in/a", None),
            ("gopkg.in/a.v", None),
        ] {
            assert_eq!(major_suffix(path), suffix, "{path}");
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
            "gopkg.in/yaml.v2-unstable-unstable",
            "example.com/a\\b",
        ] {
            assert!(ModulePath::parse(path).is_err(), "{path:?}");
        }
        for text in ["corplib", "a/b+c", "a.com/.x", "a..b", "std"] {
            assert!(is_import_path(text), "{text}");
        }
        for text in ["", "-a", "a//b", "/a", "a/", "..", "a/.", "a.", "a b", "a@b", "nul/a", "a~1", "a\\b", "ä"] {
            assert!(!is_import_path(text), "{text}");
        }
        assert!(ModulePath::parse(&format!("example.com/{}", "a".repeat(121))).is_err());
        assert!(ModulePath::parse(&format!("example.com{}", "/abcdefghi".repeat(60))).is_err());
    }
}
