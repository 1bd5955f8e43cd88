//! Hashes the unpacked modules of a module cache, which `go build` compiles.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::base::parallel::each;
use crate::base::tree::{DirError, hash_dir};
use gomodule::dirhash::H1;
use gomodule::module::ModuleVersion;

/// Folders and files outside of the modules. Large caches have 10,000 modules and as many folders.
const MAX_ENTRIES: usize = 1_000_000;

pub(super) type Hashes = BTreeMap<ModuleVersion, Result<H1, DirError>>;

type Folders = Vec<(ModuleVersion, PathBuf)>;

/// Hashes each module that is unpacked in the module cache `cache`. The second value has paths that look like a module and
/// are not. Blocks, on all processors.
pub(super) fn hash_unpacked(cache: &Path) -> io::Result<(Hashes, Vec<PathBuf>)> {
    let (found, odd) = find(cache)?;
    let hashes = each(&found, |(module, path)| (module.clone(), hash_dir(path, &module.to_string())));
    Ok((hashes.into_iter().collect(), odd))
}

/// Finds folders `PATH@VERSION`, and paths with an `@` that `go` does not create.
fn find(cache: &Path) -> io::Result<(Folders, Vec<PathBuf>)> {
    let (mut found, mut odd) = (Folders::new(), Vec::new());
    let downloads = cache.join("cache");
    if cache.is_symlink() {
        return Ok((found, vec![cache.to_owned()]));
    }
    let mut entries = WalkDir::new(cache).follow_links(false).follow_root_links(false).into_iter();
    let mut seen = 0;
    while let Some(entry) = entries.next() {
        seen += 1;
        if seen > MAX_ENTRIES {
            let message = format!("it has more than {MAX_ENTRIES} files and folders outside of modules");
            return Err(io::Error::other(message));
        }
        let entry = match entry {
            Err(error) if error.depth() == 0 => break,
            entry => entry?,
        };
        if entry.depth() == 0 && !entry.file_type().is_dir() {
            return Err(io::Error::other("it is not a folder"));
        }
        if entry.path() == downloads {
            entries.skip_current_dir();
            continue;
        }
        if !entry.file_name().to_string_lossy().contains('@') {
            // `go` follows a link to a folder with modules.
            if entry.file_type().is_symlink() {
                odd.push(entry.into_path());
            }
            continue;
        }
        let name = entry.path().strip_prefix(cache).ok().and_then(Path::to_str);
        match name.and_then(ModuleVersion::unescape) {
            Some(module) if entry.file_type().is_dir() => found.push((module, entry.path().to_owned())),
            _ => odd.push(entry.path().to_owned()),
        }
        if entry.file_type().is_dir() {
            entries.skip_current_dir();
        }
    }
    Ok((found, odd))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn every_module_folder_is_hashed_and_odd_paths_are_reported() {
        let cache = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = cache.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        for name in [
            "example.com/!a@v1.0.0/a.go",
            "example.com/!a/v2@v2.0.0/b@c/d.go",
            "example.com/b@nonsense/a.go",
            "example.com/c@v1.0.0",
            "cache/download/x@v1.0.0/x",
        ] {
            file(name);
        }
        std::os::unix::fs::symlink("/tmp", cache.path().join("example.org")).unwrap();
        let (hashes, mut odd) = hash_unpacked(cache.path()).unwrap();
        let names: Vec<String> = hashes.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["example.com/A@v1.0.0", "example.com/A/v2@v2.0.0"]);
        assert!(hashes.values().all(Result::is_ok));
        odd.sort();
        assert_eq!(
            odd,
            ["example.com/b@nonsense", "example.com/c@v1.0.0", "example.org"].map(|name| cache.path().join(name))
        );
        assert!(hash_unpacked(&cache.path().join("missing")).unwrap().0.is_empty());
        // A cache that became a link is not walked: it may lead anywhere.
        let link = cache.path().join("link");
        std::os::unix::fs::symlink(cache.path().join("example.com"), &link).unwrap();
        let (hashes, odd) = hash_unpacked(&link).unwrap();
        assert_eq!((hashes.len(), odd), (0, vec![link]));
    }
}
