//! Which of several versions is meant: the newest, the one that a query names, those whose go.mod has the retractions.

use gomodule::module::Version;

/// Versions that are tried for retractions, if the database does not know the newest ones: no module has more releases in the
/// time that the database takes to add a record.
const MAX_CANDIDATES: usize = 10;

pub(crate) fn versions_of(list: &[u8]) -> Vec<Version> {
    let firsts = std::str::from_utf8(list).unwrap_or_default().lines();
    firsts.filter_map(|line| Version::parse(line.split_whitespace().next()?).ok()).collect()
}

/// The newest release; without any, the newest pre-release.
pub(crate) fn newest_of(versions: &[Version]) -> Option<Version> {
    let releases = versions.iter().filter(|version| !version.is_prerelease());
    releases.max().or_else(|| versions.iter().max()).cloned()
}

/// The versions whose go.mod may have the retractions: releases, or else pre-releases, newest first. An `+incompatible` version
/// has no go.mod of its own, so it retracts nothing.
pub(crate) fn retraction_candidates(mut versions: Vec<Version>) -> impl Iterator<Item = Version> {
    versions.retain(|version| !version.is_incompatible());
    if versions.iter().any(|version| !version.is_prerelease()) {
        versions.retain(|version| !version.is_prerelease());
    }
    versions.sort();
    versions.into_iter().rev().take(MAX_CANDIDATES)
}

/// The version among these that a query names.
pub(crate) fn named_by(query: &str, versions: &[Version]) -> Option<Version> {
    let incompatible = format!("{query}+incompatible");
    let by_name = |version: &&Version| version.as_ref() == query || version.as_ref() == incompatible;
    if let Some(version) = versions.iter().find(by_name) {
        return Some(version.clone());
    }
    // `go` too takes no fewer than seven characters for a commit.
    let is_commit = query.len() >= 7 && query.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let of_commit = |version: &&Version| {
        let commit = version.commit().filter(|_| is_commit);
        commit.is_some_and(|commit| query.starts_with(commit) || commit.starts_with(query))
    };
    let mut found = versions.iter().filter(of_commit);
    let first = found.next().cloned();
    // Two commits may begin alike: then the query is ambiguous.
    first.filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn retractions_are_read_from_the_newest_compatible_releases() {
        let retraction_candidates = |list: &str| {
            retraction_candidates(versions_of(list.as_bytes())).map(|one| one.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            retraction_candidates("v1.9.0\nv1.10.0\nv2.0.0+incompatible\nv1.11.0-rc.1\n"),
            ["v1.10.0", "v1.9.0"]
        );
        assert_eq!(retraction_candidates("v1.0.0-rc.1\nv1.0.0-rc.2\n"), ["v1.0.0-rc.2", "v1.0.0-rc.1"]);
        assert_eq!(retraction_candidates("v2.0.0+incompatible\n"), [""; 0]);
        assert_eq!(
            retraction_candidates(&(0..100).map(|nth| format!("v1.0.{nth}\n")).collect::<String>()).len(),
            MAX_CANDIDATES
        );
    }

    #[test]
    fn a_query_names_a_stored_version() {
        let versions: Vec<Version> = [
            "v1.0.0",
            "v2.3.0+incompatible",
            "v0.0.0-20260102030405-0123456789ab",
            "v0.0.0-20260102030406-0123456ffff0",
        ]
        .map(|version| Version::parse(version).unwrap())
        .into();
        let named = |query: &str| named_by(query, &versions).map(|version| version.to_string());
        assert_eq!(named("v1.0.0").as_deref(), Some("v1.0.0"));
        assert_eq!(named("v2.3.0").as_deref(), Some("v2.3.0+incompatible"));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(named(commit).as_deref(), Some("v0.0.0-20260102030405-0123456789ab"));
        assert_eq!(named("01234567").as_deref(), Some("v0.0.0-20260102030405-0123456789ab"));
        assert_eq!(named("0123456"), None, "two of them");
        assert_eq!([named("main"), named("v3.0.0"), named("012345"), named("v1")], [None, None, None, None]);
    }
}
