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
    /// One glob for each path element.
    elements: Vec<Vec<GlobPart>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum GlobPart {
    Literal(char),
    AnyOne,
    AnyMany,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// A malformed glob. `go` silently treats it as matching nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pattern: write globs such as *.example.com/private, separated by commas")]
pub struct PatternError(String);

impl Patterns {
    /// Parses comma-separated globs. Empty globs are ignored.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let globs = text.split(',').map(|glob| glob.trim().trim_end_matches('/')).filter(|glob| !glob.is_empty());
        let parse = |glob: &str| {
            let elements: Option<Vec<_>> = glob.split('/').map(parse_glob).collect();
            elements
                .map(|elements| Pattern { text: glob.to_owned(), elements })
                .ok_or_else(|| PatternError(glob.to_owned()))
        };
        globs.map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a glob matches the path or one of its parent paths.
    pub fn matches(&self, path: &ModulePath) -> bool {
        self.match_elements(path.as_ref().split('/'))
    }

    /// Whether a glob matches a path of these elements or one of its parent paths.
    pub fn match_elements<'e>(&self, elements: impl Iterator<Item = &'e str>) -> bool {
        let elements: Vec<Vec<char>> = elements.map(|element| element.chars().collect()).collect();
        self.0.iter().any(|pattern| {
            elements.len() >= pattern.elements.len()
                && pattern.elements.iter().zip(&elements).all(|(glob, element)| glob_matches(glob, element))
        })
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

    /// Whether the list has no globs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Matches without recursion: on a mismatch, the last `*` matches one more character. The time is at most glob × text.
fn glob_matches(glob: &[GlobPart], text: &[char]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(GlobPart::AnyMany) => {
                star = Some((g, t));
                g += 1;
            }
            Some(part) if part.matches(text[t]) => (g, t) = (g + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (g, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|part| *part == GlobPart::AnyMany)
}

impl GlobPart {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::AnyOne => true,
            Self::AnyMany => false,
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

fn parse_glob(element: &str) -> Option<Vec<GlobPart>> {
    let mut chars = element.chars().peekable();
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
    (!parts.is_empty()).then_some(parts)
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '\\' => chars.next(),
        '-' | ']' => None,
        c => Some(c),
    }
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
