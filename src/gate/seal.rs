//! Seals: signatures over the caches of a run, so that a later job can use them if it trusts the key.
//!
//! The signed note is `sumgate cache seal v2`, the SHA-256 of the manifest, and the number of its files. Files that no seal
//! covers are removed before the command starts. If a file of a module is missing or changed, the whole module is removed: `go`
//! does not check an unpacked folder again.
//!
//! Only the signed manifest decides which modules are valid, not the files that `go` wrote into the cache. It lists only files
//! of modules that were known when the caches were sealed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tlog::{Signer, VerifierKey, note};

use super::files::{self, Listed, Stamp};
use super::known::Known;
use super::manifest::{MAX_LEN, Manifest};
use crate::base::tree::{RegularFileError, read_regular};
use crate::store::remove::remove;
use crate::store::{Modes, StoreError, durable};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::Request;

const HEADER: &str = "sumgate cache seal v2";
const SEALED: [&str; 2] = ["mod", "build"];
/// What is kept in the folder of a run: folders, and files.
pub(super) const KEPT: ([&str; 2], [&str; 2]) = (SEALED, [MANIFEST, SEAL]);
const MANIFEST: &str = "manifest";
const SEAL: &str = "seal";

/// What the seal of the folder covers.
#[derive(Debug, Default)]
pub struct Sealed {
    /// The number of covered files.
    pub files: usize,
    /// Files that were removed.
    pub thrown_away: Vec<String>,
    /// Why the seal is invalid as a whole, if there is one.
    pub invalid: Option<String>,
    /// Modules whose files were released or proved when the caches were sealed.
    pub known: Known,
    /// The covered files, as they were when they were read.
    stamps: HashMap<PathBuf, Stamp>,
}

impl Sealed {
    /// Whether the seal does not cover the file as it is now.
    pub fn is_new(&self, path: &Path) -> bool {
        self.stamps.get(path).is_none_or(|stamp| Stamp::at(path) != Some(*stamp))
    }
}

/// Removes the files that no valid seal of `key` covers. Blocks.
pub fn open(root: &Path, key: &VerifierKey) -> Result<Sealed, StoreError> {
    let (manifest, mut invalid) = match covered(root, key) {
        Ok(manifest) => (manifest, None),
        Err(why) => (Manifest::default(), why),
    };
    let listed = files::list(root, &SEALED).or_else(|error| {
        invalid = Some(format!("the caches cannot be read: {error}"));
        SEALED.iter().try_for_each(|name| remove(&root.join(name)))?;
        Ok(Listed::default())
    })?;
    let mut valid = unchanged(root, &manifest, &listed);
    // A missing file makes its module invalid, too.
    let expected = manifest.files.keys().map(Path::new);
    let all = listed.files.keys().map(PathBuf::as_path).chain(expected);
    let invalid_files: BTreeSet<&Path> = all.filter(|name| !valid.contains_key(name)).collect();
    let modules: BTreeSet<&Path> = invalid_files.iter().filter_map(|name| module_folder(name)).collect();
    let is_in_module = |name: &Path| module_folder(name).is_some_and(|folder| modules.contains(folder));
    for path in modules.iter().chain(invalid_files.iter().filter(|name| !is_in_module(name))) {
        remove(&root.join(path))?;
    }
    valid.retain(|name, _| !is_in_module(name));
    remove_empty(root, &listed.folders, valid.keys().copied())?;
    let thrown_away = listed.files.keys().filter(|name| !valid.contains_key(name.as_path()));
    Ok(Sealed {
        files: valid.len(),
        thrown_away: thrown_away.map(|name| name.to_string_lossy().into_owned()).collect(),
        invalid,
        known: manifest.modules,
        stamps: valid.into_iter().map(|(name, stamp)| (root.join(name), stamp)).collect(),
    })
}

/// The files with the size and the digest of the manifest. A file of another size is not read.
fn unchanged<'n>(root: &Path, manifest: &Manifest, listed: &'n Listed) -> BTreeMap<&'n Path, Stamp> {
    let sealed = |name: &Path| name.to_str().and_then(|name| manifest.files.get(name));
    let same = listed.files.iter().filter(|(name, shape)| sealed(name).map(|content| content.shape) == **shape);
    let same: Vec<&Path> = same.filter(|(_, shape)| shape.is_some()).map(|(name, _)| name.as_path()).collect();
    let hashed = files::hash(root, &same).into_iter();
    hashed
        .filter(|(name, (content, _))| sealed(name) == Some(content))
        .map(|(name, (_, stamp))| (name, stamp))
        .collect()
}

/// Removes empty folders: `go` would use one as an unpacked module.
fn remove_empty<'n>(root: &Path, folders: &[PathBuf], files: impl Iterator<Item = &'n Path>) -> Result<(), StoreError> {
    let needed: BTreeSet<&Path> = files.flat_map(|file| file.ancestors().skip(1)).collect();
    let mut empty = folders.iter().filter(|folder| !needed.contains(folder.as_path()));
    empty.try_for_each(|folder| remove(&root.join(folder)))
}

/// Seals the caches in the folder; files of modules that are not `known` are removed. Returns the number of sealed files.
/// Blocks.
pub fn close(root: &Path, signer: &Signer, known: &Known) -> Result<usize, StoreError> {
    let listed = files::list(root, &SEALED).map_err(|cause| StoreError::new("read the caches in", root, cause))?;
    let (mut manifest, mut names) = (Manifest::default(), Vec::new());
    for (name, shape) in &listed.files {
        // A manifest cannot have such a name: the next job removes the file.
        let Some(text) = name.to_str().filter(|text| shape.is_some() && !text.contains('\n')) else { continue };
        let files_of_module = match owner(text) {
            Owner::NoModule => Vec::new(),
            Owner::Unknown => continue,
            Owner::Module(module, kinds) => {
                let keys = kinds.iter().map(|kind| (module.clone(), *kind));
                let found: Vec<_> = keys.filter_map(|key| known.get_key_value(&key)).collect();
                if found.is_empty() {
                    remove(&root.join(module_folder(name).unwrap_or(name)))?;
                    continue;
                }
                found
            }
        };
        manifest.modules.extend(files_of_module.into_iter().map(|(key, file)| (key.clone(), *file)));
        names.push(name.as_path());
    }
    let hashed = files::hash(root, &names).into_iter();
    manifest.files = hashed.filter_map(|(name, (content, _))| Some((name.to_str()?.to_owned(), content))).collect();
    let text = manifest.text();
    let note = format!("{HEADER}\n{}\n{}\n", hex::encode(Sha256::digest(&text)), manifest.files.len());
    let sign = |error| StoreError::new("sign the caches in", root, std::io::Error::other(error));
    let seal = signer.sign(&note).map_err(sign)?;
    durable::write(&root.join(MANIFEST), text.as_bytes(), durable::Durability::Synced, Modes::Private)?;
    durable::write(&root.join(SEAL), seal.as_bytes(), durable::Durability::Synced, Modes::Private)?;
    Ok(manifest.files.len())
}

/// The manifest of a valid seal. `Err(None)` if there is no seal.
fn covered(root: &Path, key: &VerifierKey) -> Result<Manifest, Option<String>> {
    let seal = read(&root.join(SEAL), tlog::limits::MAX_NOTE_LEN as u64)?;
    let seal = note::open(&seal, std::slice::from_ref(key)).map_err(|error| Some(format!("the seal: {error}")))?;
    let mut lines = seal.text().lines();
    let header = lines.next().unwrap_or_default();
    if header != HEADER {
        return Err(Some(format!("the seal: expected the header {HEADER:?}, found {header:?}")));
    }
    let text = read(&root.join(MANIFEST), MAX_LEN)?;
    let manifest = String::from_utf8(text).map_err(|_| Some("the manifest is not UTF-8".to_owned()))?;
    if lines.next() != Some(hex::encode(Sha256::digest(&manifest)).as_str()) {
        return Err(Some("the seal belongs to another manifest".to_owned()));
    }
    Manifest::parse(&manifest).map_err(|error| Some(error.to_string()))
}

/// A missing file is `Err(None)`.
fn read(path: &Path, max: u64) -> Result<Vec<u8>, Option<String>> {
    read_regular(path, max).map_err(|error| match error {
        RegularFileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        error => Some(format!("cannot read {}: {error}", path.display())),
    })
}

/// The folder of the unpacked module that a file belongs to: `mod/PATH@VERSION`.
fn module_folder(name: &Path) -> Option<&Path> {
    let is_module = |folder: &&Path| folder.file_name().is_some_and(|part| part.as_encoded_bytes().contains(&b'@'));
    let is_unpacked = name.starts_with("mod") && !name.starts_with("mod/cache");
    name.ancestors().filter(is_module).last().filter(|_| is_unpacked)
}

/// The module that a file of the caches belongs to.
enum Owner {
    /// None: the build cache, lists, locks, tiles of the checksum database.
    NoModule,
    /// This one, which must be known by a file of one of these kinds.
    Module(ModuleVersion, &'static [Kind]),
    /// The file lies among the unpacked modules, in a folder that `go` did not create.
    Unknown,
}

fn owner(name: &str) -> Owner {
    if let Some(folder) = module_folder(Path::new(name)) {
        let module = folder.strip_prefix("mod").ok().and_then(Path::to_str).and_then(ModuleVersion::unescape);
        return module.map_or(Owner::Unknown, |module| Owner::Module(module, &[Kind::Zip]));
    }
    downloaded(name).map_or(Owner::NoModule, |(module, kinds)| Owner::Module(module, kinds))
}

fn downloaded(name: &str) -> Option<(ModuleVersion, &'static [Kind])> {
    let (version, ending) = name.strip_prefix("mod/cache/download/")?.rsplit_once('.')?;
    let ending = match ending {
        "ziphash" => "zip",
        "lock" => "info",
        ending => ending,
    };
    let Artifact { module, kind } = Request::parse(&format!("{version}.{ending}")).ok()?.file()?;
    Some(match kind {
        Kind::Zip => (module, &[Kind::Zip]),
        Kind::Mod => (module, &[Kind::Mod]),
        Kind::Info => (module, &[Kind::Zip, Kind::Mod]),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::super::known::KnownFile;
    use super::*;

    const FILES: [&str; 5] = [
        "mod/example.com/a@v1.0.0/a.go",
        "mod/example.com/a@v1.0.0/b/b.go",
        "mod/cache/download/example.com/a/@v/v1.0.0.ziphash",
        "mod/cache/download/example.com/a/@v/v1.0.0.zip",
        "build/00/00-a",
    ];

    fn known(module: &str) -> Known {
        let h1 = gomodule::dirhash::hash_go_mod(b"");
        let key = (ModuleVersion::parse(module).unwrap(), Kind::Zip);
        [(key, KnownFile { h1, proved: true })].into()
    }

    fn sealed_folder() -> (tempfile::TempDir, Signer) {
        let root = tempfile::tempdir().unwrap();
        for name in FILES {
            write(root.path(), name, name);
        }
        let signer = Signer::from_seed("ci.example.com", [3; 32]).unwrap();
        assert_eq!(close(root.path(), &signer, &known("example.com/a@v1.0.0")).unwrap(), FILES.len());
        (root, signer)
    }

    fn write(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }

    fn left(root: &Path) -> Vec<String> {
        let names = files::list(root, &SEALED).unwrap().files.into_keys();
        names.map(|name| name.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn sealed_files_are_kept() {
        let (root, signer) = sealed_folder();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!((sealed.files, sealed.thrown_away.len(), sealed.invalid.as_ref()), (FILES.len(), 0, None));
        assert_eq!(sealed.known, known("example.com/a@v1.0.0"));
        let zip = root.path().join(FILES[3]);
        assert!(!sealed.is_new(&zip) && sealed.is_new(&root.path().join("mod/other")));
        fs::write(&zip, FILES[3]).unwrap();
        assert!(sealed.is_new(&zip), "it was written to, with the same content");
    }

    #[test]
    fn only_known_modules_are_sealed_whatever_go_wrote() {
        let (root, signer) = (tempfile::tempdir().unwrap(), Signer::from_seed("ci.example.com", [3; 32]).unwrap());
        let others = [
            "mod/example.com/b@v1.0.0/b.go",
            "mod/cache/download/example.com/b/@v/v1.0.0.ziphash",
            "mod/cache/download/example.com/b/@v/v1.0.0.zip",
            "mod/cache/download/example.com/a/@v/v1.0.0.mod",
        ];
        for name in FILES.iter().chain(&others) {
            write(root.path(), name, name);
        }
        let known = known("example.com/a@v1.0.0");
        assert_eq!(close(root.path(), &signer, &known).unwrap(), FILES.len());
        assert_eq!(left(root.path()).len(), FILES.len(), "nothing is left to be thrown away");
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!((sealed.known, sealed.files), (known, FILES.len()));
    }

    #[test]
    fn a_file_of_another_size_is_not_read() {
        let (root, signer) = sealed_folder();
        // Too large to be read during a test.
        let large = |name: &str| {
            fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
            fs::File::create(root.path().join(name)).unwrap().set_len(4 << 40).unwrap();
        };
        large(FILES[4]);
        large("build/01/01-a");
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(sealed.thrown_away, [FILES[4], "build/01/01-a"]);
        let (root, signer) = (tempfile::tempdir().unwrap(), signer);
        fs::create_dir_all(root.path().join("mod")).unwrap();
        fs::File::create(root.path().join("mod/large")).unwrap().set_len(4 << 40).unwrap();
        assert_eq!(open(root.path(), signer.verifier_key()).unwrap().thrown_away, ["mod/large"]);
    }

    #[test]
    fn invalid_names_and_empty_folders_are_removed() {
        let (root, signer) = sealed_folder();
        let odd = std::ffi::OsStr::from_bytes(b"mod/example.com/a@v1.0.0/\xff.go");
        let odd_folder = std::ffi::OsStr::from_bytes(b"mod/\xfe/x@v1");
        fs::write(root.path().join(odd), "").unwrap();
        fs::create_dir_all(root.path().join(odd_folder)).unwrap();
        fs::create_dir_all(root.path().join("mod/example.com/empty@v1.0.0")).unwrap();
        fs::write(root.path().join("build/a\nb"), "").unwrap();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(sealed.files, 3, "{:?}", sealed.thrown_away);
        assert_eq!(left(root.path()), [FILES[4], FILES[3], FILES[2]]);
        let names = |folder: &str| fs::read_dir(root.path().join(folder)).unwrap().count();
        assert_eq!((names("mod"), root.path().join("mod/example.com").exists()), (1, false), "only mod/cache is left");
    }

    #[test]
    fn a_folder_instead_of_a_sealed_file_is_removed() {
        let (root, signer) = sealed_folder();
        let place = root.path().join(FILES[3]);
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        let below = root.path().join("build/00");
        fs::remove_dir_all(&below).unwrap();
        fs::write(&below, "").unwrap();
        open(root.path(), signer.verifier_key()).unwrap();
        assert!(!place.exists() && !below.exists());
    }

    #[test]
    fn one_invalid_file_removes_the_whole_module() {
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
    fn an_invalid_file_outside_of_modules_is_removed_alone() {
        let (root, signer) = sealed_folder();
        write(root.path(), "build/00/00-a", "patched");
        write(root.path(), "build/01/01-a", "added");
        symlink("/etc", root.path().join("mod/example.com/link")).unwrap();
        let sealed = open(root.path(), signer.verifier_key()).unwrap();
        assert_eq!(left(root.path()), [FILES[3], FILES[2], FILES[0], FILES[1]]);
        assert_eq!(sealed.thrown_away, ["build/00/00-a", "build/01/01-a", "mod/example.com/link"]);
    }

    #[test]
    fn without_a_valid_seal_nothing_is_kept() {
        let other = Signer::from_seed("ci.example.com", [4; 32]).unwrap();
        let changes: [&dyn Fn(&Path); 5] = [
            &|root| fs::remove_file(root.join(SEAL)).unwrap(),
            &|root| fs::remove_file(root.join(MANIFEST)).unwrap(),
            &|root| write(root, MANIFEST, "sumgate cache manifest v2\n"),
            &|root| write(root, SEAL, &other.sign("sumgate cache seal v2\n").unwrap()),
            &|root| write(root, SEAL, &fs::read_to_string(root.join(SEAL)).unwrap().replace("v2", "v3")),
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
