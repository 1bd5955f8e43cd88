//! A seal: the caches of an earlier run, kept between jobs, and signed by a key that this job trusts.
//!
//! The signed note is `sumgate cache seal v1`, the SHA-256 of the manifest, and the number of its files. Whatever the seal
//! does not cover is thrown away before the command starts. A module of which a file is missing or changed goes whole: `go`
//! takes an unpacked folder as it finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};
use tlog::{Signer, VerifierKey, note};

use super::folder::remove;
use super::manifest::{MAX_LEN, Manifest};
use super::unpacked::written_hash;
use crate::dirhash::H1;
use crate::module::{ModulePath, ModuleVersion, Version};
use crate::store::{StoreError, durable};

const HEADER: &str = "sumgate cache seal v1";
/// The folders that are sealed.
pub(super) const SEALED: [&str; 2] = ["mod", "build"];
/// All that stays in the folder of a run.
pub(super) const KEPT: [&str; 4] = ["mod", "build", MANIFEST, SEAL];
const MANIFEST: &str = "manifest";
const SEAL: &str = "seal";

/// What the seal of the folder covers.
#[derive(Debug, Default)]
pub struct Sealed {
    /// Files that were there and covered.
    pub files: usize,
    /// Files that were thrown away.
    pub thrown_away: Vec<String>,
    /// Why the whole seal counts for nothing, if there is one.
    pub invalid: Option<String>,
    /// Modules whose zip was released, or proved, when the caches were sealed.
    pub modules: Vec<ModuleVersion>,
}

impl Sealed {
    /// The h1 of each zip that the seal of the folder `root` covers: `go` wrote it into a file that is sealed, too.
    pub fn zips(&self, root: &Path) -> BTreeMap<ModuleVersion, H1> {
        let cache = root.join("mod");
        let zip = |module: &ModuleVersion| Some((module.clone(), written_hash(&cache, module)?));
        self.modules.iter().filter_map(zip).collect()
    }
}

/// Throws away what no valid seal of `key` covers. Blocks.
pub fn open(root: &Path, key: &VerifierKey) -> Result<Sealed, StoreError> {
    let mut sealed = Sealed::default();
    let manifest = match covered(root, key) {
        Ok(manifest) => manifest,
        Err(why) => {
            sealed.invalid = why;
            Manifest::default()
        }
    };
    let read = |cause| StoreError::new("read the caches in", root, cause);
    let found = Manifest::read(root, &SEALED).map_err(read)?;
    let is_right = |name: &String| manifest.0.get(name).is_some_and(|content| Some(content) == found.0.get(name));
    // A file that is missing counts for its module, too.
    let wrong: BTreeSet<&String> = found.0.keys().chain(manifest.0.keys()).filter(|name| !is_right(name)).collect();
    let units: BTreeSet<&str> = wrong.iter().filter_map(|name| module_folder(name)).collect();
    for unit in &units {
        remove(&root.join(unit))?;
    }
    for name in found.0.keys() {
        let goes = wrong.contains(name);
        if goes && module_folder(name).is_none() {
            remove(&root.join(name))?;
        }
        if goes || module_folder(name).is_some_and(|unit| units.contains(unit)) {
            sealed.thrown_away.push(name.clone());
        } else {
            sealed.files += 1;
            sealed.modules.extend(zip_of(name));
        }
    }
    Ok(sealed)
}

/// Seals what is in the folder. Blocks.
pub fn close(root: &Path, signer: &Signer) -> Result<usize, StoreError> {
    let read = |cause| StoreError::new("read the caches in", root, cause);
    let mut manifest = Manifest::read(root, &SEALED).map_err(read)?;
    manifest.0.retain(|_, content| content.is_some());
    let text = manifest.text();
    let note = format!("{HEADER}\n{}\n{}\n", hex::encode(Sha256::digest(&text)), manifest.0.len());
    let sign = |error| StoreError::new("sign the caches in", root, std::io::Error::other(error));
    let seal = signer.sign(&note).map_err(sign)?;
    durable::write(&root.join(MANIFEST), text.as_bytes(), durable::Durability::Synced)?;
    durable::write(&root.join(SEAL), seal.as_bytes(), durable::Durability::Synced)?;
    Ok(manifest.0.len())
}

/// The manifest that a valid seal signs; or why there is none, if there is a seal at all.
fn covered(root: &Path, key: &VerifierKey) -> Result<Manifest, Option<String>> {
    let seal = read(&root.join(SEAL), tlog::limits::MAX_NOTE_LEN as u64)?;
    let seal = note::open(&seal, std::slice::from_ref(key)).map_err(|error| Some(format!("the seal: {error}")))?;
    let text = read(&root.join(MANIFEST), MAX_LEN)?;
    let manifest = String::from_utf8(text).map_err(|_| Some("the manifest is not UTF-8".to_owned()))?;
    let manifest_digest = hex::encode(Sha256::digest(&manifest));
    let mut lines = seal.text().lines();
    if lines.next() != Some(HEADER) || lines.next() != Some(manifest_digest.as_str()) {
        return Err(Some("the seal is of another manifest".to_owned()));
    }
    Manifest::parse(&manifest).map_err(|error| Some(error.to_string()))
}

/// A regular file, at most `limit` bytes. `Err(None)` if there is none.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Option<String>> {
    let words = |error: std::io::Error| Some(format!("cannot read {}: {error}", path.display()));
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() <= limit => {}
        Ok(_) => return Err(Some(format!("{} is not a file of at most {limit} bytes", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Err(error) => return Err(words(error)),
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(words)?;
    Ok(bytes)
}

/// The folder of the unpacked module that a file belongs to: `mod/PATH@VERSION`.
fn module_folder(name: &str) -> Option<&str> {
    let below = name.strip_prefix("mod/").filter(|below| !below.starts_with("cache/"))?;
    let at = below.find('@')?;
    let end = below[at..].find('/').map_or(below.len(), |slash| at + slash);
    Some(&name[..name.len() - below.len() + end])
}

/// The module whose zip was unpacked, by a file that `go` writes beside it.
fn zip_of(name: &str) -> Option<ModuleVersion> {
    let (path, file) = name.strip_prefix("mod/cache/download/")?.rsplit_once("/@v/")?;
    let version = Version::unescape(file.strip_suffix(".ziphash")?).ok()?;
    ModuleVersion::new(ModulePath::unescape(path).ok()?, version).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use super::*;

    const FILES: [&str; 5] = [
        "mod/example.com/a@v1.0.0/a.go",
        "mod/example.com/a@v1.0.0/b/b.go",
        "mod/cache/download/example.com/a/@v/v1.0.0.ziphash",
        "mod/cache/download/example.com/a/@v/v1.0.0.zip",
        "build/00/00-a",
    ];

    fn sealed_folder() -> (tempfile::TempDir, Signer) {
        let root = tempfile::tempdir().unwrap();
        for name in FILES {
            write(root.path(), name, name);
        }
        let signer = Signer::from_seed("ci.example.com", [3; 32]).unwrap();
        assert_eq!(close(root.path(), &signer).unwrap(), FILES.len());
        (root, signer)
    }

    fn write(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }

    fn left(root: &Path) -> Vec<String> {
        Manifest::read(root, &SEALED).unwrap().0.into_keys().collect()
    }

    #[test]
    fn what_is_sealed_stays() {
        let (root, signer) = sealed_folder();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!((sealed.files, sealed.thrown_away.len(), sealed.invalid), (FILES.len(), 0, None));
        assert_eq!(sealed.modules.iter().map(ToString::to_string).collect::<Vec<_>>(), ["example.com/a@v1.0.0"]);
    }

    #[test]
    fn a_module_of_which_one_file_is_not_right_goes_whole() {
        let changes: [&dyn Fn(&Path); 4] = [
            &|root| write(root, FILES[0], "other"),
            &|root| fs::remove_file(root.join(FILES[1])).unwrap(),
            &|root| write(root, "mod/example.com/a@v1.0.0/c.go", "added"),
            &|root| symlink("a.go", root.join("mod/example.com/a@v1.0.0/link.go")).unwrap(),
        ];
        for change in changes {
            let (root, signer) = sealed_folder();
            change(root.path());
            let sealed = open(root.path(), signer.verifier_key()).unwrap();
            assert!(!root.path().join("mod/example.com/a@v1.0.0").exists());
            assert_eq!(sealed.files, 3, "the zip and the build cache are right: {:?}", sealed.thrown_away);
            assert!(!sealed.thrown_away.is_empty());
        }
    }

    #[test]
    fn a_file_elsewhere_goes_alone() {
        let (root, signer) = sealed_folder();
        write(root.path(), "build/00/00-a", "patched");
        write(root.path(), "build/01/01-a", "added");
        symlink("/etc", root.path().join("mod/example.com/link")).unwrap();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(left(root.path()), [FILES[3], FILES[2], FILES[0], FILES[1]]);
        assert_eq!(sealed.thrown_away, ["build/00/00-a", "build/01/01-a", "mod/example.com/link"]);
    }

    #[test]
    fn without_a_valid_seal_nothing_stays() {
        let other = Signer::from_seed("ci.example.com", [4; 32]).unwrap();
        let changes: [&dyn Fn(&Path); 5] = [
            &|root| fs::remove_file(root.join(SEAL)).unwrap(),
            &|root| fs::remove_file(root.join(MANIFEST)).unwrap(),
            &|root| write(root, MANIFEST, "sumgate cache manifest v1\n"),
            &|root| write(root, SEAL, &other.sign("sumgate cache seal v1\n").unwrap()),
            &|root| write(root, SEAL, &fs::read_to_string(root.join(SEAL)).unwrap().replace("v1", "v2")),
        ];
        for change in changes {
            let (root, signer) = sealed_folder();
            change(root.path());
            let sealed = open(root.path(), signer.verifier_key()).unwrap();
            assert_eq!((sealed.files, left(root.path()).len()), (0, 0));
            let is_there = root.path().join(SEAL).exists() && root.path().join(MANIFEST).exists();
            assert_eq!(sealed.invalid.is_some(), is_there, "{:?}", sealed.invalid);
        }
    }
}
