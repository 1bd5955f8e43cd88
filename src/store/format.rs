//! The marker file of a data folder, with the number of its format.
//!
//! Files in a data folder are replaced and removed, so no other folder may be taken for one. A folder is used only if it has the
//! marker, or if this program made everything in it. Many projects have a folder `run` or `staging`, so the entries of the
//! folders in which files are removed are checked too.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::access::{Access, FOLDERS, MARKER, StoreOptions};
use super::durable::{self, Durability};
use super::error::OTHERWISE;
use super::open::read;
use super::remove::ASIDE;
use super::staging;

/// The current format. It increases with a change that an older program would damage or misinterpret.
const FORMAT: u64 = 1;
/// A number of twenty digits and a line break.
const MAX_MARKER: usize = 64;

/// Refuses a foreign folder, and another format. A data folder gets the marker if the command writes.
pub(super) fn check(root: &Path, options: &StoreOptions) -> Result<(), StoreError> {
    let marker = root.join(MARKER);
    let failed = |cause| StoreError::new("use the data folder", root, cause);
    let bytes = read(&marker, MAX_MARKER).map_err(failed)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_end().parse::<u64>() {
        Ok(FORMAT) => return Ok(()),
        Ok(other) => {
            let words = format!(
                "expected format {FORMAT} in {MARKER}, found {other}: use the version of sumgate that wrote it, {OTHERWISE}"
            );
            return Err(failed(io::Error::other(words)));
        }
        // A crash left it empty, or another process is writing it.
        Err(_) if bytes.is_empty() => {}
        Err(_) => {
            let words =
                format!("expected a format number in {MARKER}, found something else: remove that file, {OTHERWISE}");
            return Err(failed(io::Error::other(words)));
        }
    }
    if let Some(foreign) = foreign(root).map_err(failed)? {
        let words = format!(
            "expected an empty folder, or one that sumgate made, found {} in it: name another folder with --data DIR \
             or SUMGATE_DATA",
            foreign.display()
        );
        return Err(failed(io::Error::other(words)));
    }
    if options.writes && options.access != Access::Read {
        durable::write(&marker, format!("{FORMAT}\n").as_bytes(), Durability::Synced, options.modes)?;
    }
    Ok(())
}

/// The first entry that this program did not make.
fn foreign(root: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        if !is_ours(&name) {
            return Ok(Some(name.into()));
        }
        let is_made: fn(&DirEntry) -> io::Result<bool> = match name.to_str() {
            Some("run") => is_of_a_run,
            Some("staging") => staging::is_made,
            Some("quarantine") => is_case,
            // In other folders only files with full names are removed.
            _ => continue,
        };
        for below in fs::read_dir(root.join(&name))? {
            let below = below?;
            // An interrupted removal leaves such a folder.
            let is_aside = below.file_name().to_str().is_some_and(|name| name.starts_with(ASIDE));
            if !is_aside && !is_made(&below)? {
                return Ok(Some(Path::new(&name).join(below.file_name())));
            }
        }
    }
    Ok(None)
}

/// Whether this is the folder N of a run with a lock N.lock, or such a lock (`gate/folder`).
fn is_of_a_run(entry: &DirEntry) -> io::Result<bool> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return Ok(false) };
    let nth = name.strip_suffix(".lock").unwrap_or(name);
    let is_number = !nth.is_empty() && nth.bytes().all(|c| c.is_ascii_digit());
    let lock = entry.path().with_file_name(format!("{nth}.lock"));
    // A lock file of this program is empty.
    let is_lock = lock.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == 0);
    Ok(is_number && is_lock && (nth != name || entry.file_type()?.is_dir()))
}

/// Whether this is the folder of a case: a real folder with such a name, with the facts and no foreign files in it.
pub(super) fn is_case(entry: &DirEntry) -> io::Result<bool> {
    let name = entry.file_name();
    let mut parts = name.to_str().unwrap_or_default().rsplitn(3, '-');
    let is_hash = parts.next().is_some_and(|part| part.len() == 16 && part.bytes().all(|c| c.is_ascii_hexdigit()));
    let is_named_so = is_hash && parts.next().is_some_and(|kind| ["mod", "zip"].contains(&kind));
    if !is_named_so || !entry.file_type()?.is_dir() {
        return Ok(false);
    }
    let mut has_facts = false;
    for file in fs::read_dir(entry.path())? {
        let file = file?;
        let name = file.file_name();
        has_facts |= name == "facts.json";
        let is_ours = ["bytes", "facts.json"].iter().any(|ours| name == *ours)
            || name.to_str().is_some_and(|name| name.starts_with(durable::NEW));
        if !is_ours || !file.file_type()?.is_file() {
            return Ok(false);
        }
    }
    Ok(has_facts)
}

/// Whether this program, or version 0.1 of it, makes entries of this name in a data folder. The root of a file system has a
/// `lost+found`, and a crash leaves a temporary file (`durable`).
fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    FOLDERS.contains(&name) || ["list.lock", MARKER, "lost+found"].contains(&name) || name.starts_with(durable::NEW)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::store::{Facts, Store};

    const CASE: &str = "quarantine/a.example-zip-0123456789abcdef";

    /// A folder without a marker that has these files; a name that ends with `/` is a folder.
    fn opened(names: &[&str]) -> Result<Store, StoreError> {
        let data = tempfile::tempdir().unwrap();
        for name in names {
            let place = data.path().join(name);
            fs::create_dir_all(if name.ends_with('/') { &place } else { place.parent().unwrap() }).unwrap();
            if !name.ends_with('/') {
                fs::write(place, "").unwrap();
            }
        }
        Store::open(data.path())
    }

    #[test]
    fn a_folder_with_foreign_entries_below_our_names_is_refused() {
        for names in [
            &["run/1/src/f"][..],
            &["run/1/src/f", "run/1.lock", "run/2/src/f"],
            &["run/1/", "run/1.lock/"],
            &["run/x.lock"],
            &["run/.lock"],
            &["run/start.sh"],
            &["quarantine/notes.txt"],
            &["quarantine/old/facts.json"],
            &[CASE],
            &[&format!("{CASE}/bytes")],
            &[&format!("{CASE}/facts.json"), &format!("{CASE}/thesis.tex")],
            &["staging/important/a"],
            &["staging/run-1"],
            &["staging/lock/"],
            &["staging/deploy.sh"],
        ] {
            let error = opened(names).unwrap_err().to_string();
            let folder = names[0].split('/').next().unwrap();
            let is_named = error.contains(&format!("found {folder}/")) && error.contains("--data DIR");
            assert!(
                is_named && error.contains("expected an empty folder, or one that sumgate made"),
                "{names:?}: {error}"
            );
        }
    }

    #[test]
    fn a_data_folder_without_the_marker_is_accepted() {
        for names in [
            &["run/1/mod/a/", "run/1.lock", "run/2.lock", "run/.removed-x/"][..],
            &[&format!("{CASE}/facts.json"), &format!("{CASE}/bytes"), &format!("{CASE}/.new-x")],
            &["staging/lock", "staging/run-x/half-a-zip", "staging/.removed-x/"],
            &["run/", "quarantine/", "staging/", "pins/a.example/@v/v1.0.0.zip", "lost+found/x", "list.lock"],
        ] {
            opened(names).unwrap();
        }
        // Also a folder that the program itself made.
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let facts = Facts {
            module: "example.com/hello@v1.0.0".to_owned(),
            kind: "mod",
            source: "https://a.example".to_owned(),
            expected: "h1:right".to_owned(),
            found: None,
            reason: "it has no hash".to_owned(),
        };
        store.quarantine().add(store.stage().unwrap(), &facts).unwrap();
        fs::remove_file(data.path().join(MARKER)).unwrap();
        Store::open(data.path()).unwrap();
        assert!(data.path().join(MARKER).is_file());
    }
}
