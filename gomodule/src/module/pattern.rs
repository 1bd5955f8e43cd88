//! The patterns of GOPRIVATE, GONOPROXY and GONOSUMDB (`go help private`).
//!
//! Comma-separated globs. A glob with n slashes is matched against the first n + 1 elements of the *unescaped* path, so
//! `example.com` matches every path below it (`module.MatchPrefixPatterns`). Glob syntax is that of Go's `path.Match`: `*`
//! and `?` within an element, `[a-z]` and `[^a-z]` classes, `\` before a literal character.

use std::fmt;

use super::path::ModulePath;

/// A list of valid patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    glob: Vec<GlobPart>,
    /// The number of path elements that the glob is matched against.
    elements: usize,
    /// The hosts below which upper and lower case are the same.
    ignoring_case_on: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum GlobPart {
    Literal(char),
    AnyOne,
    AnyMany,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// Hosts of repositories whose names of owners and repositories ignore case.
pub const HOSTS_IGNORING_CASE: [&str; 3] = ["bitbucket.org", "github.com", "gitlab.com"];

/// A malformed glob. `go` silently treats it as matching nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pattern: write globs such as *.example.com/private, separated by commas")]
pub struct PatternError(String);

impl Patterns {
    /// Parses comma-separated globs as people write them: without the white space and the slashes around a glob. Empty globs are
    /// ignored.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let globs = text.split(',').map(|glob| glob.trim().trim_end_matches('/')).filter(|glob| !glob.is_empty());
        let parse = |glob: &str| {
            let has_empty_element = glob.split('/').any(str::is_empty);
            Pattern::parse(glob).filter(|_| !has_empty_element).ok_or_else(|| PatternError(glob.to_owned()))
        };
        globs.map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the value of a variable as `go` does: white space is a part of a glob, and a malformed glob matches nothing.
    ///
    /// ```
    /// use gomodule::module::{ModulePath, Patterns};
    /// let path = ModulePath::parse("b.example/x").unwrap();
    /// assert!(Patterns::of_go("a.example,b.example").matches(&path));
    /// assert!(!Patterns::of_go("a.example, b.example").matches(&path));
    /// ```
    pub fn of_go(text: &str) -> Self {
        Self(globs_of_go(text).filter_map(Pattern::parse).collect())
    }

    /// The globs in the value of a variable that `go` matches with no module path, because they are malformed or have white space.
    pub fn useless_for_go(text: &str) -> impl Iterator<Item = &str> {
        globs_of_go(text).filter(|glob| glob.contains(char::is_whitespace) || Pattern::parse(glob).is_none())
    }

    /// The same patterns; below these hosts, they match upper and lower case alike.
    #[must_use]
    pub fn ignoring_case_on(mut self, hosts: &[impl ToString]) -> Self {
        for pattern in &mut self.0 {
            pattern.ignoring_case_on = hosts.iter().map(ToString::to_string).collect();
        }
        self
    }

    /// Whether a glob matches the path or one of its parent paths.
    pub fn matches(&self, path: &ModulePath) -> bool {
        self.match_elements(path.as_ref().split('/'))
    }

    /// Whether a glob matches a path of these elements or one of its parent paths.
    pub fn match_elements<'e>(&self, elements: impl Iterator<Item = &'e str>) -> bool {
        let elements: Vec<&str> = elements.collect();
        self.0.iter().any(|pattern| pattern.matches(&elements))
    }

    /// Whether these patterns exempt `path` from the checksum database. As in `go`, they never exempt toolchains.
    pub fn exempts(&self, path: &ModulePath) -> bool {
        !path.is_toolchain() && self.matches(path)
    }

    /// The union of two lists, without duplicates.
    #[must_use]
    pub fn with(mut self, more: Self) -> Self {
        for pattern in more.0 {
            if !self.0.contains(&pattern) {
                self.0.push(pattern);
            }
        }
        self
    }

    /// The patterns of this list whose text is not in the other one.
    #[must_use]
    pub fn without(mut self, others: &Self) -> Self {
        self.0.retain(|pattern| !others.0.iter().any(|other| other.text == pattern.text));
        self
    }

    /// Whether the list has no globs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `go` removes one slash at the end of a glob, and nothing else.
fn globs_of_go(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|glob| glob.strip_suffix('/').unwrap_or(glob)).filter(|glob| !glob.is_empty())
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        // Also slashes in classes: `go` counts them before it parses the glob.
        let elements = text.matches('/').count() + 1;
        Some(Self { text: text.to_owned(), glob: parse_glob(text)?, elements, ignoring_case_on: Vec::new() })
    }

    fn matches(&self, path: &[&str]) -> bool {
        let Some(prefix) = path.get(..self.elements) else { return false };
        let ignores_case = path.first().is_some_and(|host| self.ignoring_case_on.iter().any(|one| one == host));
        let text: Vec<char> = prefix.join("/").chars().collect();
        glob_matches(&self.glob, &text, ignores_case)
    }
}

/// Matches without recursion: on a mismatch, the last `*` matches one more character. The time is at most glob × text.
fn glob_matches(glob: &[GlobPart], text: &[char], ignores_case: bool) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(GlobPart::AnyMany) => {
                star = Some((g, t));
                g += 1;
            }
            Some(part) if part.matches(text[t], ignores_case) => (g, t) = (g + 1, t + 1),
            _ => match star {
                Some((at, from)) if text[from] != '/' => {
                    star = Some((at, from + 1));
                    (g, t) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    glob[g..].iter().all(|part| *part == GlobPart::AnyMany)
}

impl GlobPart {
    fn matches(&self, c: char, ignores_case: bool) -> bool {
        let either = |is: &dyn Fn(char) -> bool| {
            is(c) || (ignores_case && (is(c.to_ascii_lowercase()) || is(c.to_ascii_uppercase())))
        };
        match self {
            Self::Literal(literal) => either(&|c| *literal == c),
            Self::AnyOne => c != '/',
            Self::AnyMany => false,
            Self::Class { negated, ranges } => {
                either(&|c| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))) != *negated
            }
        }
    }
}

fn parse_glob(text: &str) -> Option<Vec<GlobPart>> {
    let mut chars = text.chars().peekable();
    let mut parts = Vec::new();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => GlobPart::AnyMany,
            '?' => GlobPart::AnyOne,
            '\\' => GlobPart::Literal(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let low = class_char(&mut chars)?;
                    let high = if chars.next_if_eq(&'-').is_some() { class_char(&mut chars)? } else { low };
                    ranges.push((low, high));
                }
                chars.next();
                GlobPart::Class { negated, ranges }
            }
            c => GlobPart::Literal(c),
        });
    }
    Some(parts)
}

/// A character of a class; none that stands for bytes which are not UTF-8, which `go` finds malformed.
fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let c = match chars.next()? {
        '\\' => chars.next()?,
        '-' | ']' => return None,
        c => c,
    };
    (c != char::REPLACEMENT_CHARACTER).then_some(c)
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.0.iter().map(|pattern| pattern.text.as_str()).collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn matches(patterns: &str, path: &str) -> bool {
        Patterns::parse(patterns).unwrap().matches(&ModulePath::parse(path).unwrap())
    }

    #[test]
    fn a_glob_matches_everything_below_it_and_stars_do_not_match_slashes() {
        assert!(matches("example.com", "example.com/a/b"));
        assert!(matches("*.example.com", "git.example.com/a"));
        assert!(!matches("*.example.com", "example.com/a"));
        assert!(!matches("example.com/a", "example.com/ab"));
        assert!(!matches("example.com/a/b", "example.com/a"));
        assert!(matches("x.org, example.com/*/secret/", "example.com/team/secret/x"));
        assert!(!matches("example.com/*/secret", "example.com/a/b/secret"));
        assert!(!matches("", "example.com"));
    }

    #[test]
    fn matching_is_case_sensitive() {
        assert!(matches("github.com/MyOrg", "github.com/MyOrg/tool"));
        assert!(!matches("github.com/myorg", "github.com/MyOrg/tool"));
    }

    #[test]
    fn on_some_hosts_case_is_ignored() {
        let hosts = HOSTS_IGNORING_CASE;
        let matches = |patterns: &str, path: &str| {
            Patterns::parse(patterns).unwrap().ignoring_case_on(&hosts).matches(&ModulePath::parse(path).unwrap())
        };
        assert!(matches("github.com/myorg", "github.com/MyOrg/tool"));
        assert!(matches("*.com/My[N-P]rg", "github.com/myorg/tool"));
        assert!(!matches("github.com/[^m]yorg", "github.com/MyOrg/tool"));
        assert!(!matches("*.com/myorg", "example.com/MyOrg/tool"));
    }

    /// The generator is `testdata/main.go`.
    #[test]
    fn variables_are_read_as_go_reads_them() {
        let mut matched = 0;
        for line in include_str!("../../testdata/patterns.txt").lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [globs, path, expected] = fields[..] else { panic!("{line}") };
            let path = ModulePath::parse(path).unwrap();
            let found = Patterns::of_go(globs).matches(&path);
            assert_eq!(found.to_string(), expected, "{line}");
            matched += usize::from(found);
        }
        assert!(matched > 100);
    }

    #[test]
    fn globs_that_go_matches_with_nothing() {
        let useless = |text: &'static str| Patterns::useless_for_go(text).collect::<Vec<_>>();
        assert_eq!(useless("a.com, b.com,[,c.com/[a-]/x,d.com//,*.e.com"), [" b.com", "[", "c.com/[a-]/x"]);
        assert_eq!(useless(""), [""; 0]);
    }

    #[test]
    fn classes_and_stars() {
        assert!(matches("example.com/[a-c]?*", "example.com/bxyz"));
        assert!(!matches("example.com/[^a-c]*", "example.com/bxyz"));
        assert!(matches("example.com/a*b*c", "example.com/axxbxxbc"));
        assert!(Patterns::parse("example.com/[a-").is_err());
        assert!(Patterns::parse("example.com/a\\").is_err());
        assert!(Patterns::parse("example.com//a").is_err());
        assert_eq!(Patterns::parse(" a.com ,,b.com/").unwrap().to_string(), "a.com,b.com");
    }
}
