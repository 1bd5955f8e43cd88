//! Names and phrases that were replaced do not come back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{documents, sources};

/// Names that were replaced by terms of the glossary in CONTRIBUTING.md.
const OLD_NAMES: [&str; 64] = [
    "Vouchers",
    "vouchers",
    "Vouched",
    "Landing",
    "ReadAlong",
    "Dated",
    "Trail",
    "Trails",
    "Carried",
    "Taken",
    "Pack",
    "ChainError",
    "let_go",
    "Complaint",
    "Complaints",
    "Said",
    "Surroundings",
    "speakers",
    "foresee",
    "Fine",
    "Lost",
    "Broken",
    "BrokenOff",
    "Unfit",
    "Door",
    "OriginError",
    "Advisories",
    "CarryError",
    "carried_in",
    "Voucher",
    "Attested",
    "RecordLines",
    "GoHere",
    "HashAt",
    "NamedAt",
    "WantedFile",
    "EntryError",
    "lookup_anew",
    "or_through",
    "exported_in",
    "Nonsense",
    "Losses",
    "Keeping",
    "Sightings",
    "OverBound",
    "Unseen",
    "complain",
    "Patience",
    "patience",
    "AskedPart",
    "silent_mirror",
    "WaitsArgs",
    "Given",
    "Come",
    "past_proxies",
    "MENDED",
    "Chain",
    "Attest",
    "Advisory",
    "advisory",
    "Carry",
    "door",
    "wish",
    "mend",
];
/// The same, with the places where the word is right: a field of `.info`, and the origin of the test kit; the flag
/// `--attest`; the wait of a function for something.
const OLD_NAMES_ELSEWHERE: [(&str, &[&str]); 4] = [
    (
        "Origin",
        &[
            "src/mirror/metadata/info.rs",
            "src/cli/demo/",
            "benches/",
            "testkit/",
            "tests/",
            // Unit tests with an origin of the test kit.
            "src/mirror/admission.rs",
            "src/mirror/http/handle.rs",
            "src/release/obtain.rs",
            "src/release/proved.rs",
            "docs/refused.md",
            "SECURITY.md",
        ],
    ),
    (
        "attest",
        &["src/cli/args/run.rs", "src/cli/run/results.rs", "tests/end_to_end/", "docs/ci-by-hand.md", "docs/run.md"],
    ),
    ("Link", &["src/upstream/inside.rs", "tests/end_to_end/hostile_archives.rs"]),
    ("Sources", &["src/upstream/", "tests/rooms.rs"]),
];
/// Names of files that said less than those of today.
const OLD_FILES: [&str; 31] = [
    "along",
    "ahead",
    "advisories",
    "asked",
    "attested",
    "base_name",
    "carried",
    "carry",
    "crowd",
    "door",
    "doors",
    "fresh",
    "here",
    "hot",
    "landing",
    "listed",
    "logins",
    "losses",
    "modcache",
    "place",
    "places",
    "sightings",
    "speakers",
    "surroundings",
    "told",
    "trail",
    "voucher",
    "vouchers",
    "waits",
    "words",
    "young",
];
/// Unclear phrases that were replaced.
const OLD_WORDS: [&str; 25] = [
    "lets it out",
    "Hold every line",
    "Take up what",
    "nothing is done in no time",
    "stands in the url",
    "hears of these modules",
    "named to nobody",
    "only a wish",
    "is not possible there",
    "nobody could be asked",
    "is no hash line",
    "far more comes out",
    "its first lines are others",
    "is no Ed25519",
    "failed without a word",
    "whoever",
    "as good as absent",
    "broken off",
    "said so",
    "no word of",
    "is no plain file",
    "is no url",
    "lets in",
    "stands behind",
    "asked of nobody",
];

#[test]
fn old_names_and_words_do_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = sources();
    texts.extend(documents(root));
    texts.push(("Cargo.toml".into(), fs::read_to_string(root.join("Cargo.toml")).unwrap()));
    texts.retain(|(path, _)| path != Path::new("tests/old_names.rs"));
    let mut unused: BTreeSet<(&str, &str)> = BTreeSet::new();
    unused
        .extend(OLD_NAMES_ELSEWHERE.iter().flat_map(|(name, places)| places.iter().map(move |place| (*name, *place))));
    for (path, text) in texts {
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let name = OLD_NAMES.iter().find(|name| words.contains(*name));
        unused.retain(|(name, place)| !path.starts_with(place) || !words.contains(name));
        let elsewhere = |(name, places): &&(&str, &[&str])| {
            words.contains(name) && !places.iter().any(|place| path.starts_with(place))
        };
        let misplaced = OLD_NAMES_ELSEWHERE.iter().find(elsewhere).map(|(name, _)| name);
        let file = OLD_FILES.iter().find(|file| path.file_stem().is_some_and(|stem| stem == **file));
        let sentence = OLD_WORDS.iter().find(|sentence| text.contains(**sentence));
        assert_eq!((name, misplaced, file, sentence), (None, None, None, None), "{}", path.display());
    }
    assert_eq!(unused, BTreeSet::new(), "exceptions that nothing needs");
}
