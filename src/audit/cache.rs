//! `--modcache`: every zip, go.mod and unpacked folder of a module cache, hashed again.
//!
//! `CACHE/cache/download/PATH/@v/VERSION.{zip,mod}` and `CACHE/PATH@VERSION/`, with upper case escaped
//! (<https://go.dev/ref/mod#module-cache>). `go build` compiles the unpacked folder, so it is hashed like the zip: `go` takes
//! it as complete as soon as there is a `.ziphash`, with or without the zip (`cmd/go/internal/modfetch`, DownloadDir). The
//! content of a `.ziphash` is not used: an attacker who can change a zip can change it too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, FoundHash};
use crate::base::fault::in_full;
use crate::base::limits::MAX_DEPTH;
use crate::base::parallel::each;
use crate::base::progress::Progress;
use crate::base::tree::{
    DirError, RegularFileError, Unreadable, below, hash_dir, name_below, open_regular, read_regular,
};
use crate::finding::{Code, Finding, Place, Unaudited};
use crate::upstream::database_request::escaped;
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, ZipError, ZipLimits, hash_go_mod, hash_module_zip};
use gomodule::gomod::MAX_GO_MOD;
use gomodule::gosum::AnyHash;
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::{Cached, cached};

/// The module that comes with a toolchain, which unpacks it by itself (`go help environment`, GOFIPS140).
const FIPS: &str = "golang.org/fips140";

/// Why a module cache cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the module cache in {}: {cause}", path.display())]
pub struct CacheError {
    path: PathBuf,
    cause: io::Error,
}

/// Why a file or folder of a module cache has no h1.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum HashError {
    File(#[from] RegularFileError),
    Zip(#[from] ZipError),
    Dir(#[from] DirError),
}

/// A file of a module cache with an h1.
pub(crate) struct CachedFile {
    pub(crate) path: PathBuf,
    pub(crate) module: ModuleVersion,
    /// [`Cached::ZipHash`] means the unpacked folder at `path`.
    pub(crate) content: Cached,
}

impl CachedFile {
    pub(crate) fn hash(&self) -> Result<H1, HashError> {
        Ok(match self.content {
            Cached::Zip => {
                let file = open_regular(&self.path).map_err(RegularFileError::from)?;
                hash_module_zip(&file.ok_or(RegularFileError::NotRegular)?, &self.module, &ZipLimits::default())?.h1
            }
            Cached::Mod => hash_go_mod(&read_regular(&self.path, MAX_GO_MOD)?),
            Cached::ZipHash => hash_dir(&self.path, &self.module.to_string())?,
        })
    }
}

/// Hashes everything in the module cache `root`, in the order of the paths. Blocks, on all processors. Counts in `progress`.
/// The module that the toolchain in `goroot` brings along is left out if it is unchanged: it is not a download.
pub fn read_module_cache(root: &Path, goroot: Option<&Path>, progress: &Progress) -> Result<Vec<Entry>, CacheError> {
    let (mut found, mut odd) = walk(root)?;
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    odd.sort_unstable();
    odd.dedup();
    let is_toolchain = |file: &&CachedFile| file.content == Cached::ZipHash && file.module.path.is_toolchain();
    let toolchains = found.iter().filter(is_toolchain).map(|file| file.path.clone());
    let goroots: Vec<PathBuf> = goroot.map(Path::to_owned).into_iter().chain(toolchains).collect();
    progress.expect(found.len());
    let entries = each(&found, |file| {
        let entry = entry(file, &goroots);
        progress.add(1);
        entry
    });
    let message =
        "expected only files and folders in the module cache, found a link or a special file: `go` creates none";
    let odd = odd.iter().map(|path| Entry::Finding(Finding::new(Code::NotARegularFile, message).at(path)));
    Ok(odd.chain(entries.into_iter().flatten()).collect())
}

/// The h1 of a module that comes with a toolchain in one of `goroots`.
pub(crate) fn bundled_with_toolchain(goroots: &[PathBuf], module: &ModuleVersion) -> Option<H1> {
    if module.path.as_ref() != FIPS {
        return None;
    }
    let zip = |goroot: &PathBuf| goroot.join("lib/fips140").join(format!("{}.zip", module.version)).canonicalize().ok();
    // The command can write to a toolchain in the module cache: the zip may be a FIFO.
    let zip = goroots.iter().find_map(|goroot| open_regular(&zip(goroot)?).ok().flatten())?;
    hash_module_zip(&zip, module, &ZipLimits::default()).ok().map(|report| report.h1)
}

/// What there is to hash; and links and anything else that is neither a file nor a folder.
fn walk(root: &Path) -> Result<(Vec<CachedFile>, Vec<PathBuf>), CacheError> {
    let download = root.join("cache/download");
    let (mut found, mut odd) = (Vec::new(), Vec::from_iter(not_a_folder(root, Path::new("cache/download"))));
    // Records and tiles that the go command keeps, not modules.
    let tiles = download.join("sumdb");
    for entry in below(&download, |entry| entry.path() != tiles) {
        let entry = entry.map_err(|Unreadable { path, cause }| CacheError { path, cause })?;
        let (path, kind) = (entry.path().to_owned(), entry.file_type());
        if kind.is_dir() {
            if entry.depth() > MAX_DEPTH {
                return Err(CacheError { path, cause: io::Error::other("its folders are nested too deeply") });
            }
        } else if !kind.is_file() {
            odd.push(path);
        } else if let Some((module, content)) = name_below(&download, &entry).and_then(cached) {
            if content != Cached::Mod {
                let name = escaped(&module);
                let unpacked = root.join(&name);
                match not_a_folder(root, Path::new(&name)) {
                    Some(link) => odd.push(link),
                    None if unpacked.is_dir() => {
                        found.push(CachedFile { path: unpacked, module: module.clone(), content: Cached::ZipHash });
                    }
                    None => {}
                }
            }
            if content != Cached::ZipHash {
                found.push(CachedFile { path, module, content });
            }
        }
    }
    add_bundled(root, &mut found, &mut odd)?;
    Ok((found, odd))
}

/// Adds the unpacked module of the toolchain. `go` uses it without the `.ziphash` that all others need, and wrote none before
/// go1.27 (`cmd/go/internal/modfetch/cache.go`, DownloadDir).
fn add_bundled(root: &Path, found: &mut Vec<CachedFile>, odd: &mut Vec<PathBuf>) -> Result<(), CacheError> {
    let Some((host, _)) = FIPS.split_once('/').filter(|(host, _)| root.join(host).is_dir()) else { return Ok(()) };
    let folder = root.join(host);
    odd.extend(not_a_folder(root, Path::new(host)));
    let failed = |cause| CacheError { path: folder.clone(), cause };
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let module = entry.file_name().to_str().and_then(|name| ModuleVersion::unescape(&format!("{host}/{name}")));
        match module.filter(|module| module.path.as_ref() == FIPS) {
            Some(module) if entry.file_type().map_err(failed)?.is_dir() => {
                found.push(CachedFile { path: entry.path(), module, content: Cached::ZipHash });
            }
            Some(_) => odd.push(entry.path()),
            None => {}
        }
    }
    Ok(())
}

/// The first element of the path `below` that exists and is not a folder: `go` would follow a link.
fn not_a_folder(root: &Path, below: &Path) -> Option<PathBuf> {
    let mut path = root.to_owned();
    below.iter().find_map(|part| {
        path.push(part);
        path.symlink_metadata().is_ok_and(|found| !found.is_dir()).then(|| path.clone())
    })
}

/// `None` for a module that comes with the toolchain.
fn entry(file: &CachedFile, goroots: &[PathBuf]) -> Option<Entry> {
    let place = Place::from(&file.path);
    let kind = if file.content == Cached::Mod { Kind::Mod } else { Kind::Zip };
    match file.hash() {
        Ok(h1) if kind == Kind::Zip && bundled_with_toolchain(goroots, &file.module) == Some(h1) => None,
        Ok(h1) => Some(Entry::Hash(FoundHash { place, module: file.module.clone(), kind, hash: AnyHash::H1(h1) })),
        // A limit that `go` does not have.
        Err(HashError::Zip(error)) if error.is_over_bound() => {
            let (module, reason) = (file.module.to_string(), in_full(&error));
            Some(Entry::Unchecked(Unaudited { place, module, reason, cause: None }))
        }
        Err(error) => {
            let finding = Finding::new(Code::UnreadableFile, format!("cannot be hashed: {}", in_full(&error)));
            Some(Entry::Finding(finding.at(place).about(&file.module)))
        }
    }
}
