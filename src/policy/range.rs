//! Version ranges: `>=v1.2.0, <v1.4.0 || v2.0.1`.
//!
//! `,` means and, `||` means or. A comparison has `<`, `<=`, `>`, `>=` or `=`, which is the default.

use std::cmp::Ordering;

use gomodule::module::VersionError;

/// Most comparisons of a range, more than users write.
const MAX_COMPARISONS: usize = 100;

/// A range of versions of type `V`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<V> {
    /// The alternatives; a version must satisfy all comparisons of one.
    any: Vec<Vec<(Comparator, V)>>,
}

type Comparator = &'static [Ordering];

/// The longest first, because `<=` begins with `<`.
const COMPARATORS: [(&str, Comparator); 5] = [
    ("<=", &[Ordering::Less, Ordering::Equal]),
    (">=", &[Ordering::Greater, Ordering::Equal]),
    ("<", &[Ordering::Less]),
    (">", &[Ordering::Greater]),
    ("=", EQUAL),
];
const EQUAL: Comparator = &[Ordering::Equal];

/// Why a text is not a valid range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Too many comparisons.
    #[error("it has more than {MAX_COMPARISONS} comparisons")]
    TooMany,
    /// A range without any version.
    #[error("no version is in {0:?}: a comma means and, write || for or")]
    Empty(String),
    /// A version of a module.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A version of go.
    #[error("{0:?} is not a valid version of go: expected a range such as \">=go1.26.6\"")]
    GoVersion(String),
}

impl<V> Range<V> {
    /// Parses a range of versions, which `parse` reads and `compare` orders. An empty range is an error, because its rule would
    /// never apply, unnoticed.
    pub fn parse(
        text: &str,
        parse: impl Fn(&str) -> Result<V, RangeError>,
        compare: impl Fn(&V, &V) -> Ordering,
    ) -> Result<Self, RangeError> {
        let comparison = |text: &str| {
            let text = text.trim();
            let named = COMPARATORS.iter().find_map(|(sign, comparator)| Some((text.strip_prefix(sign)?, *comparator)));
            let (version, comparator) = named.unwrap_or((text, EQUAL));
            parse(version.trim()).map(|version| (comparator, version))
        };
        if text.split([',', '|']).count() > MAX_COMPARISONS {
            return Err(RangeError::TooMany);
        }
        let all = |text: &str| {
            let all = text.split(',').map(comparison).collect::<Result<Vec<_>, _>>()?;
            if contradicts(&all, &compare) {
                return Err(RangeError::Empty(text.trim().to_owned()));
            }
            Ok(all)
        };
        Ok(Self { any: text.split("||").map(all).collect::<Result<_, _>>()? })
    }

    /// Whether the range contains a version, which `compare` compares with a bound.
    pub fn contains(&self, compare: impl Fn(&V) -> Ordering) -> bool {
        let holds = |(comparator, bound): &(Comparator, V)| comparator.contains(&compare(bound));
        self.any.iter().any(|all| all.iter().all(holds))
    }
}

/// Whether an upper bound is below a lower bound.
fn contradicts<V>(all: &[(Comparator, V)], compare: &impl Fn(&V, &V) -> Ordering) -> bool {
    let from = all.iter().filter(|(comparator, _)| !comparator.contains(&Ordering::Less));
    from.into_iter().any(|(from, low)| {
        let mut to = all.iter().filter(|(comparator, _)| !comparator.contains(&Ordering::Greater));
        to.any(|(to, high)| match compare(low, high) {
            Ordering::Less => false,
            Ordering::Equal => !from.contains(&Ordering::Equal) || !to.contains(&Ordering::Equal),
            Ordering::Greater => true,
        })
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use gomodule::module::Version;

    fn parse(text: &str) -> Result<Range<Version>, RangeError> {
        Range::parse(text, |text| Ok(Version::parse(text)?), Version::precedence)
    }

    #[test]
    fn ranges_are_alternatives_of_comparisons() {
        let contains = |range: &str, version: &str| {
            let version = Version::parse(version).unwrap();
            parse(range).unwrap().contains(|bound| version.precedence(bound))
        };
        assert!(contains(">=v1.2.0, <v1.4.0 || v2.0.1", "v1.3.9"));
        assert!(contains(">=v1.2.0, <v1.4.0 || v2.0.1", "v2.0.1"));
        assert!(!contains(">=v1.2.0, <v1.4.0 || v2.0.1", "v1.4.0"));
        assert!(contains("<v1.4.0", "v1.4.0-rc.1"), "semver order");
        assert!(contains("<=v1.10.0", "v1.9.0") && contains("> v1.9.0", "v1.10.0") && contains("= v1.0.0", "v1.0.0"));
        for bad in ["", "v1", "<", ">=v1.0.0,", "v1.0.0 ||", "latest"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(&"v1.0.0||".repeat(200)).is_err());
    }

    #[test]
    fn an_empty_range_is_refused() {
        for empty in [
            "v1.0.0, v1.0.1",
            "<v1.0.0, >v2.0.0",
            ">v1.0.0, <v1.0.0",
            ">v1.0.0, <=v1.0.0",
            ">=v1.0.0, <v1.0.0",
            "=v1.0.0, <v1.0.0",
            "v3.0.0 || v1.0.0, >v1.0.0",
        ] {
            assert!(parse(empty).unwrap_err().to_string().contains("write || for or"), "{empty}");
        }
        for some in [">=v1.0.0, <=v1.0.0", "v2.0.0, =v2.0.0+incompatible", ">v1.0.0, >v2.0.0", "<v1.0.0, <v2.0.0"] {
            assert!(parse(some).is_ok(), "{some}");
        }
    }
}
