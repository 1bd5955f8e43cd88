//! Refused bytes, stored with a report for the operator, and never served.
//!
//! Each case is a folder `quarantine/MODULE-KIND-HASH/` with `bytes` and `facts.json`. The same wrong bytes from the same source
//! are one case, however often they arrive.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::StoreError;
use super::access::StoreOptions;
use super::durable::{self, Durability};
use super::format::is_case;
use super::remove::remove;
use super::staging::StagingFile;

/// With the largest module zips (500 MiB) this is 16 GiB. A new case replaces the oldest.
const MAX_CASES: usize = 32;

/// The report of a case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    /// `path@version`.
    pub(crate) module: String,
    /// `mod` or `zip`.
    pub(crate) kind: &'static str,
    pub(crate) source: String,
    pub(crate) expected: String,
    /// The h1 of the bytes; `None` if they could not be hashed.
    pub(crate) found: Option<String>,
    pub(crate) reason: String,
}

#[derive(Debug)]
pub(crate) struct Quarantine {
    all: PathBuf,
    options: StoreOptions,
}

impl Quarantine {
    pub(super) fn new(root: &Path, options: &StoreOptions) -> Self {
        Self { all: root.join("quarantine"), options: options.clone() }
    }

    /// Moves a staged file to a case, and returns its folder.
    pub(crate) fn add(&self, staged: StagingFile, facts: &Facts) -> Result<PathBuf, StoreError> {
        durable::make_dir(&self.all, self.options.modes)?;
        let case = self.all.join(case_name(facts));
        let failed = |cause| StoreError::new("write the quarantine case", &case, cause);
        make_room(&self.all)?;
        durable::make_dir(&case, self.options.modes)?;
        staged.file.sync_all().map_err(failed)?;
        let seen =
            self.options.clock.now().wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let facts = serde_json::json!({ "seen_unix_seconds": seen, "facts": facts });
        let text = serde_json::to_vec_pretty(&facts).map_err(|error| failed(error.into()))?;
        // The facts first: a folder without them is not a case, and its bytes would never be removed.
        let written = durable::write(&case.join("facts.json"), &text, Durability::Synced, self.options.modes);
        written.inspect_err(|_| drop(fs::remove_dir(&case)))?;
        durable::persist(staged.path, &case.join("bytes"), self.options.modes)?;
        Ok(case)
    }
}

/// Whether the folder of a case, or the file with the evidence of a fork, is still here: an operator removes what is settled. The data
/// folder may have been in another place when the path was written down.
pub(super) fn is_here(root: &Path, evidence: &Path) -> bool {
    let names: Vec<&OsStr> = evidence
        .components()
        .filter_map(|part| if let Component::Normal(name) = part { Some(name) } else { None })
        .collect();
    let below = match &names[..] {
        [.., folder, case] if *folder == "quarantine" => [folder, case].iter().collect::<PathBuf>(),
        [.., folder, database, file] if *folder == "sumdb" => [folder, database, file].iter().collect(),
        _ => return false,
    };
    // What cannot be read is not settled.
    root.join(below).symlink_metadata().map_or_else(|error| error.kind() != ErrorKind::NotFound, |_| true)
}

/// The same name for the same wrong bytes from the same source, valid in any file system.
fn case_name(facts: &Facts) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in [&facts.module, facts.kind, &facts.source, facts.found.as_deref().unwrap_or(""), &facts.reason] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let safe: String =
        facts.module.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).take(80).collect();
    format!("{safe}-{}-{}", facts.kind, &hex::encode(hash.finalize())[..16])
}

/// Removes the oldest cases until one more fits. Other entries stay, and do not count.
fn make_room(all: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("read the quarantine", all, cause);
    let mut cases = Vec::new();
    for entry in fs::read_dir(all).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !is_case(&entry).map_err(failed)? {
            continue;
        }
        let modified = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        cases.push((modified, entry.path()));
    }
    cases.sort();
    let surplus = (cases.len() + 1).saturating_sub(MAX_CASES);
    for (_, case) in cases.into_iter().take(surplus) {
        remove(&case)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::store::Store;

    fn facts(source: &str) -> Facts {
        Facts {
            module: "example.com/hello@v1.0.0".to_owned(),
            kind: "zip",
            source: source.to_owned(),
            expected: "h1:right".to_owned(),
            found: Some("h1:wrong".to_owned()),
            reason: "the hash differs".to_owned(),
        }
    }

    #[test]
    fn no_case_outside_the_data_folder_is_removed() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for nth in 0..=MAX_CASES {
            fs::create_dir(other.path().join(nth.to_string())).unwrap();
        }
        let store = Store::open(data.path()).unwrap();
        std::os::unix::fs::symlink(other.path(), data.path().join("quarantine")).unwrap();
        let error = store.quarantine().add(store.stage().unwrap(), &facts("https://a.example")).unwrap_err();
        assert!(error.to_string().contains("found a link on the way: remove it"), "{error}");
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), MAX_CASES + 1);
    }

    #[test]
    fn other_entries_stay_however_many_cases_arrive() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let all = data.path().join("quarantine");
        let named = "example.com-a-zip-0123456789abcdef";
        let others = ["notes.txt", "mine/thesis.tex", "other/facts.json", &format!("{named}/facts.json")];
        for (name, beside) in others.iter().zip(["", "", "", "thesis.tex"]) {
            let place = all.join(name);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, "precious").unwrap();
            if !beside.is_empty() {
                fs::write(place.with_file_name(beside), "precious").unwrap();
            }
        }
        for nth in 0..MAX_CASES + 5 {
            store.quarantine().add(store.stage().unwrap(), &facts(&format!("https://{nth}.example"))).unwrap();
        }
        for name in others {
            assert!(all.join(name).is_file(), "{name}");
        }
        let others = 4;
        assert_eq!(fs::read_dir(&all).unwrap().count(), MAX_CASES + others, "and as many cases as ever");
    }

    #[test]
    fn evidence_is_here_until_it_is_removed_wherever_the_folder_was() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let case = store.quarantine().add(store.stage().unwrap(), &facts("https://a.example")).unwrap();
        let (moved, fork) =
            (Path::new("/old/quarantine").join(case.file_name().unwrap()), "/old/sumdb/a.example+1/fork.txt");
        assert!(store.has_evidence(&case) && store.has_evidence(&moved) && !store.has_evidence(Path::new(fork)));
        fs::create_dir_all(data.path().join("sumdb/a.example+1")).unwrap();
        fs::write(data.path().join("sumdb/a.example+1/fork.txt"), "evidence").unwrap();
        assert!(store.has_evidence(Path::new(fork)));
        fs::remove_dir_all(&case).unwrap();
        assert!(!store.has_evidence(&case));
        for elsewhere in ["/etc/passwd", "/old/quarantine/..", "", "quarantine", "sumdb/fork.txt"] {
            assert!(!store.has_evidence(Path::new(elsewhere)), "{elsewhere}");
        }
    }

    #[test]
    fn a_case_that_cannot_be_written_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let case = data.path().join("quarantine").join(case_name(&facts("https://a.example")));
        fs::create_dir_all(case.join("facts.json")).unwrap();
        assert!(store.quarantine().add(store.stage().unwrap(), &facts("https://a.example")).is_err());
        assert!(!case.join("bytes").exists(), "bytes without facts would never be removed");
    }

    #[test]
    fn the_same_wrong_bytes_are_one_case_and_the_number_of_cases_is_bounded() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let first = store.quarantine().add(store.stage().unwrap(), &facts("https://a.example")).unwrap();
        let again = store.quarantine().add(store.stage().unwrap(), &facts("https://a.example")).unwrap();
        assert_eq!(first, again);
        for nth in 0..MAX_CASES + 5 {
            store.quarantine().add(store.stage().unwrap(), &facts(&format!("https://{nth}.example"))).unwrap();
        }
        assert_eq!(fs::read_dir(data.path().join("quarantine")).unwrap().count(), MAX_CASES);
        assert_eq!(fs::read_dir(data.path().join("staging")).unwrap().count(), 2, "the lock and this run's folder");
    }
}
