//! Versions: canonical semver as `go` writes it, and version queries.
//!
//! `vMAJOR.MINOR.PATCH[-PRERELEASE][+incompatible]` (<https://go.dev/ref/mod#versions>), without other build metadata or
//! leading zeros. A pseudo-version ends with a time of 14 digits and the beginning of a commit hash
//! (<https://go.dev/ref/mod#pseudo-versions>).

use std::cmp::Ordering;
use std::fmt;

use crate::unicode::is_letter;

/// A canonical version. Ordered by semver precedence, then by text, because precedence ignores `+incompatible`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(String);

/// A version query, which `.info` requests may have in place of a version: a branch, a tag, a commit, `v1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query(String);

/// Why a text is not a valid version or query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: {why}")]
pub struct VersionError {
    text: String,
    what: &'static str,
    why: &'static str,
}

/// Tags are file names in a repository. The longest known pseudo-versions have about 60 bytes.
const MAX_VERSION: usize = 120;
/// The time in a pseudo-version: year, month, day, hour, minute, second.
const TIME_LEN: usize = 14;
/// Names of branches and tags: git reads names of up to 4096 bytes, hosts allow about 250.
const MAX_QUERY: usize = 1024;
/// As in file names of modules (`module.CheckFilePath`), but for `!`, which escapes.
const QUERY_PUNCTUATION: &str = "#$%&()+,-.=@[]^_{}~ ";
/// Why a text cannot be unescaped.
pub(super) const BAD_ESCAPE: &str = "upper case must be written as '!' and lower case";

impl Version {
    /// Parses a canonical version.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        match flaw(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(VersionError { text: text.to_owned(), what: "a canonical version", why }),
        }
    }

    /// Parses the escaped form, which has `!x` for upper case `X`.
    pub fn unescape(escaped: &str) -> Result<Self, VersionError> {
        Self::parse(&unescape_or(escaped, "a canonical version")?)
    }

    /// The escaped form, which has `!x` for upper case `X`.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }

    /// The major version, without `v`.
    pub fn major(&self) -> &str {
        self.0[1..].split('.').next().unwrap_or_default()
    }

    /// Whether it ends with `+incompatible`: a version of a module without go.mod.
    pub fn is_incompatible(&self) -> bool {
        self.0.ends_with("+incompatible")
    }

    /// Whether it has a pre-release part, as pseudo-versions do.
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease().is_empty()
    }

    /// Whether it is a pseudo-version, which names a commit (`module.IsPseudoVersion`).
    pub fn is_pseudo(&self) -> bool {
        self.commit().is_some()
    }

    /// The commit of a pseudo-version. `go` writes 12 characters of it, and reads any number.
    pub fn commit(&self) -> Option<&str> {
        let (before, commit) = self.prerelease().rsplit_once('-')?;
        let (base, time) = before.split_at_checked(before.len().checked_sub(TIME_LEN)?)?;
        let is_base = match base.strip_suffix("0.") {
            // `vX.0.0-TIME-COMMIT`: there is no version before the commit.
            None => base.is_empty() && self.numbers().skip(1).all(|number| number == "0"),
            // `vX.Y.Z-0.TIME-COMMIT` or `vX.Y.Z-PRERELEASE.0.TIME-COMMIT`.
            Some(base) => base.is_empty() || base.ends_with('.'),
        };
        let is_commit = !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_alphanumeric());
        (is_base && is_commit && time.bytes().all(|b| b.is_ascii_digit())).then_some(commit)
    }

    /// Compares by semver precedence only: `v2.0.0+incompatible` equals `v2.0.0`.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let numbers = self.numbers().zip(other.numbers()).map(|(a, b)| compare_numbers(a, b));
        let numbers = numbers.fold(Ordering::Equal, Ordering::then);
        numbers.then_with(|| compare_prerelease(self.prerelease(), other.prerelease()))
    }

    fn without_build(&self) -> &str {
        self.0.split('+').next().unwrap_or_default()
    }

    fn prerelease(&self) -> &str {
        self.without_build().split_once('-').map_or("", |(_, prerelease)| prerelease)
    }

    fn numbers(&self) -> impl Iterator<Item = &str> {
        self.without_build()[1..].split('-').next().unwrap_or_default().split('.')
    }
}

fn unescape_or(escaped: &str, what: &'static str) -> Result<String, VersionError> {
    unescape(escaped).ok_or_else(|| VersionError { text: escaped.to_owned(), what, why: BAD_ESCAPE })
}

fn flaw(text: &str) -> Option<&'static str> {
    if text.len() > MAX_VERSION {
        return Some("it has more than 120 bytes");
    }
    let Some(rest) = text.strip_prefix('v') else {
        return Some("it must start with 'v'");
    };
    let rest = match rest.split_once('+') {
        None => rest,
        Some((rest, "incompatible")) => {
            if rest.starts_with("0.") || rest.starts_with("1.") {
                return Some("v0 and v1 cannot be +incompatible");
            }
            rest
        }
        Some(_) => return Some("it cannot have build metadata other than +incompatible"),
    };
    let (numbers, prerelease) = rest.split_once('-').map_or((rest, None), |(n, p)| (n, Some(p)));
    if numbers.split('.').count() != 3 || !numbers.split('.').all(is_number) {
        return Some("it must have three numbers without leading zeros");
    }
    match prerelease {
        Some(prerelease) if !prerelease.split('.').all(is_prerelease_part) => Some("its pre-release part is malformed"),
        _ => None,
    }
}

/// Whether a text is a semantic version for `go` (`semver.IsValid` of golang.org/x/mod): `v1`, `v1.2` and any build metadata
/// are valid, too.
pub fn is_semver(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else { return false };
    let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
    let (numbers, prerelease) = rest.split_once('-').map_or((rest, None), |(n, p)| (n, Some(p)));
    let count = numbers.split('.').count();
    let is_short = count < 3 && prerelease.is_none() && build.is_none();
    (is_short || count == 3)
        && numbers.split('.').all(is_number)
        && prerelease.is_none_or(|prerelease| prerelease.split('.').all(is_prerelease_part))
        && build.is_none_or(|build| build.split('.').all(is_build_part))
}

/// The full form of a semantic version (`module.CanonicalVersion`): `v1.2` is `v1.2.0`, and build metadata other than
/// `+incompatible` is left out. `None` if it is not a semantic version.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (whole, build) = text.split_once('+').map_or((text, ""), |(whole, build)| (whole, build));
    let missing = 2_usize.saturating_sub(whole.split('-').next().unwrap_or_default().matches('.').count());
    let suffix = if build == "incompatible" { "+incompatible" } else { "" };
    is_semver(text).then(|| format!("{whole}{}{suffix}", ".0".repeat(missing)))
}

fn is_build_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A number has no leading zero.
fn is_prerelease_part(part: &str) -> bool {
    is_build_part(part) && (is_number(part) || !part.bytes().all(|b| b.is_ascii_digit()))
}

/// Digits without a leading zero.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Semver section 11: a release is above its pre-releases, numbers are below words, and more parts are above fewer.
fn compare_prerelease(a: &str, b: &str) -> Ordering {
    if a.is_empty() || b.is_empty() {
        return a.is_empty().cmp(&b.is_empty());
    }
    let part = |text| (!is_number(text), if is_number(text) { text.len() } else { 0 }, text);
    a.split('.').map(part).cmp(b.split('.').map(part))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.precedence(other).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl AsRef<str> for Version {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Query {
    /// Parses the escaped form. A query is one element of a path, as `module.EscapeVersion` allows it. `go` escapes no letters
    /// outside ASCII; other clients may send them.
    pub fn unescape(escaped: &str) -> Result<Self, VersionError> {
        let what = "a version query";
        let text = unescape_or(escaped, what)?;
        let is_valid = |c: char| is_letter(c) || c.is_ascii_digit() || QUERY_PUNCTUATION.contains(c);
        let why = if text.is_empty() || text.len() > MAX_QUERY {
            "it must have 1 to 1024 bytes"
        } else if !text.chars().all(is_valid) {
            "it may only have letters, digits, spaces and #$%&()+,-.=@[]^_{}~"
        } else if text.ends_with('.') {
            "it must not end with a dot"
        } else {
            return Ok(Self(text));
        };
        Err(VersionError { text, what, why })
    }

    /// The escaped form, which has `!x` for upper case `X`.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }
}

impl AsRef<str> for Query {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Writes upper case as `!` and lower case, for file systems that are not case-sensitive.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// Reverses [`escape`]; `None` for upper case, or `!` without a lower case letter after it.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => text.push(chars.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            c if c.is_ascii_uppercase() => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn semantic_versions_are_those_of_go() {
        for right in
            ["v1", "v0.2", "v1.2.3", "v1.0.0-rc.1", "v1.0.0+any.build-01", "v1.0.0-a-b+c", "v1.0.0+incompatible"]
        {
            assert!(is_semver(right), "{right}");
        }
        for wrong in [
            "",
            "v",
            "1.0.0",
            "V1.0.0",
            "v01.0.0",
            "v1.0.0.0",
            "v1-rc",
            "v1.2+b",
            "v1.0.0-",
            "v1.0.0+",
            "v1.0.0-01",
            "v1.0.0-a..b",
            "v1.0.0_",
            "v1.0.x",
            "v1.0.0+a+b",
        ] {
            assert!(!is_semver(wrong), "{wrong}");
        }
    }

    #[test]
    fn only_canonical_versions_parse() {
        for right in
            ["v0.0.0", "v1.2.3", "v1.0.0-rc.1", "v1.0.0-0.a-b", "v2.0.0+incompatible", "v2.0.0-rc.1+incompatible"]
        {
            assert_eq!(Version::parse(right).unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "v",
            "v1",
            "v1.2",
            "1.2.3",
            "v1.2.3.4",
            "v01.2.3",
            "v1.2.03",
            "v1.2.3-",
            "v1.2.3-01",
            "v1.2.3-a..b",
            "v1.2.3+meta",
            "v1.2.3+incompatible",
            "v2.0.0+incompatible+x",
            "v1.2.3 ",
            "v1.2.3-ä",
            "latest",
        ] {
            assert!(Version::parse(wrong).is_err(), "{wrong:?}");
        }
        let long = |tail: usize| Version::parse(&format!("v1.0.0-{}", "a".repeat(tail))).is_ok();
        assert!(long(MAX_VERSION - 7) && !long(MAX_VERSION - 6));
    }

    #[test]
    fn pseudo_versions_are_recognised() {
        let is = |text: &str| Version::parse(text).unwrap().is_pseudo();
        assert!(is("v0.0.0-20200101000000-0123456789ab"));
        assert!(is("v1.2.4-0.20200101000000-0123456789ab"));
        assert!(is("v1.2.3-pre.0.20200101000000-0123456789ab"));
        assert!(is("v2.0.0-20200101000000-0123456789ab+incompatible"));
        assert!(!is("v1.2.3") && !is("v1.2.3-rc.1") && !is("v1.2.3-20200101-abc"));
        assert!(is("v0.0.0-20200101000000-0123456789a"), "a commit of 11 characters");
        assert!(is("v0.0.0-20200101000000-0123456789abcdef0123456789abcdef01234567"), "a whole commit");
        assert!(!is("v1.2.3-20200101000000-0123456789ab"), "a tag: nothing is before the time");
        assert!(!is("v1.2.4-rc0.20200101000000-0123456789ab"), "a tag");
    }

    /// The generator is `testdata/main.go`.
    #[test]
    fn versions_are_read_as_go_reads_them() {
        let (mut versions, mut commits) = (0, 0);
        for line in include_str!("../../testdata/versions.txt").lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [text, valid, canonical, pseudo, commit] = fields[..] else { panic!("{line}") };
            assert_eq!(is_semver(text).to_string(), valid, "{line}");
            let found = Version::parse(text);
            if is_refused_on_purpose(text) {
                assert!(found.is_err(), "{line}");
                continue;
            }
            assert_eq!(found.is_ok().to_string(), canonical, "{line}");
            let Ok(found) = found else { continue };
            assert_eq!(found.is_pseudo().to_string(), pseudo, "{line}");
            assert_eq!(found.commit().unwrap_or_default(), commit, "{line}");
            versions += 1;
            commits += usize::from(found.is_pseudo());
        }
        assert!(versions > 100 && commits > 20, "{versions} {commits}");
    }

    /// `go` never makes such a version.
    fn is_refused_on_purpose(text: &str) -> bool {
        (text.starts_with("v0.") || text.starts_with("v1.")) && text.ends_with("+incompatible")
    }

    #[test]
    fn versions_are_ordered_by_precedence() {
        let ordered = [
            "v0.9.0",
            "v1.0.0-1",
            "v1.0.0-2",
            "v1.0.0-11",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-beta",
            "v1.0.0",
            "v1.2.0",
            "v1.10.0",
            "v2.0.0+incompatible",
            "v10.0.0",
        ];
        let mut sorted: Vec<Version> = ordered.iter().rev().map(|text| Version::parse(text).unwrap()).collect();
        sorted.sort();
        assert_eq!(sorted.iter().map(ToString::to_string).collect::<Vec<_>>(), ordered);
    }

    #[test]
    fn queries_are_what_go_can_escape() {
        let long = "a".repeat(MAX_QUERY);
        for right in [
            "v1",
            "main",
            "0123abc",
            "v1.2",
            "!release",
            "v2.0.0",
            "-x",
            ".x",
            "a b",
            "a@b",
            "a%20",
            "fix#12",
            "a,b",
            "f(x)",
            "k=v",
            "a&b$c",
            "[x]{y}^z~",
            "größe",
            &long,
        ] {
            assert_eq!(Query::unescape(right).unwrap().escaped(), right);
        }
        let long = "a".repeat(MAX_QUERY + 1);
        for wrong in [
            "", ".", "..", "a.", "a/b", "Main", "a\\b", "a:b", "a\"b", "a'b", "<v1", ">v1", "a*", "a?", "a`", "a|b",
            "a\n", "٣", &long,
        ] {
            assert!(Query::unescape(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn escaping_is_reversible_and_canonical() {
        assert_eq!(escape("github.com/Azure/SDK"), "github.com/!azure/!s!d!k");
        assert_eq!(unescape("github.com/!azure/!s!d!k").as_deref(), Some("github.com/Azure/SDK"));
        assert_eq!([unescape("A"), unescape("!"), unescape("!A"), unescape("!!a")], [None, None, None, None]);
    }
}
