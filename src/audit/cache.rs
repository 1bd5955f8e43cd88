//! `--modcache`: every zip, go.mod and unpacked folder of a module cache, hashed again.
//!
//! `CACHE/cache/download/PATH/@v/VERSION.{zip,mod}` and `CACHE/PATH@VERSION/`, upper case escaped
//! (<https://go.dev/ref/mod#module-cache>). The unpacked folder is what `go build` compiles, so it counts as much as the
//! zip: `go` takes it for whole as soon as there is a `.ziphash`, with or without the zip (`cmd/go/internal/modfetch`,
//! DownloadDir). What the `.ziphash` says is not read: whoever can change a zip can change that.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Entry, HashAt};
use crate::base::bounded::read_bounded;
use crate::base::fault::in_full;
use crate::base::limits::MAX_DEPTH;
use crate::base::parallel::each;
use crate::base::tree::{Unreadable, below, hash_dir, name_below, open_regular};
use crate::finding::{Code, Finding, Place, Unaudited};
use crate::upstream::database_request::escaped;
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, ZipError, ZipLimits, hash_go_mod, hash_module_zip};
use gomodule::gomod::MAX_GO_MOD;
use gomodule::gosum::AnyHash;
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::{Cached, cached};

/// The module that a toolchain brings along, and unpacks by itself (`go help environment`, GOFIPS140).
const FIPS: &str = "golang.org/fips140";

/// Why a module cache cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the module cache in {}: {cause}", path.display())]
pub struct CacheError {
    path: PathBuf,
    cause: io::Error,
}

/// A file or folder of the cache that has a hash.
struct Hashable {
    path: PathBuf,
    module: ModuleVersion,
    /// A `.ziphash` stands for the unpacked folder.
    content: Cached,
}

/// Hashes everything in the module cache `root`, in the order of the names. Blocks, on all processors. Counts in `hashed`.
/// What the toolchain in `goroot` brings along and unpacks there by itself is no download, and left out if it is as there.
pub fn read_module_cache(root: &Path, goroot: Option<&Path>, hashed: &AtomicUsize) -> Result<Vec<Entry>, CacheError> {
    let (mut found, mut odd) = walk(root)?;
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    odd.sort_unstable();
    odd.dedup();
    let goroots = goroots(goroot, &found);
    let entries = each(&found, |cached| {
        let entry = entry(cached, &goroots);
        hashed.fetch_add(1, Ordering::Relaxed);
        entry
    });
    Ok(odd.iter().map(|path| odd_entry(path)).chain(entries.into_iter().flatten()).collect())
}

/// The toolchain here, and those in the cache, which are audited with it.
fn goroots(goroot: Option<&Path>, found: &[Hashable]) -> Vec<PathBuf> {
    let is_toolchain = |one: &&Hashable| one.content == Cached::ZipHash && one.module.path.is_toolchain();
    let unpacked = found.iter().filter(is_toolchain).map(|one| one.path.clone());
    goroot.map(Path::to_owned).into_iter().chain(unpacked).collect()
}

/// The h1 of a module that a toolchain below one of `goroots` brings along.
pub(crate) fn of_toolchain(goroots: &[PathBuf], module: &ModuleVersion) -> Option<H1> {
    if module.path.as_ref() != FIPS {
        return None;
    }
    let zip = |goroot: &PathBuf| goroot.join("lib/fips140").join(format!("{}.zip", module.version)).canonicalize().ok();
    // Toolchains lie in the module cache, too, where the command can write.
    let zip = goroots.iter().find_map(|goroot| open_regular(&zip(goroot)?).ok().flatten())?;
    hash_module_zip(&zip, module, &ZipLimits::default()).ok().map(|report| report.h1)
}

/// What there is to hash, and links and whatever else is neither a file nor a folder.
fn walk(root: &Path) -> Result<(Vec<Hashable>, Vec<PathBuf>), CacheError> {
    let download = root.join("cache/download");
    let (mut found, mut odd) = (Vec::new(), Vec::from_iter(not_a_folder(root, Path::new("cache/download"))));
    // Lookups and tiles of the go command, not modules.
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
                        found.push(Hashable { path: unpacked, module: module.clone(), content: Cached::ZipHash });
                    }
                    None => {}
                }
            }
            if content != Cached::ZipHash {
                found.push(Hashable { path, module, content });
            }
        }
    }
    without_ziphash(root, &mut found, &mut odd)?;
    Ok((found, odd))
}

/// The module of the toolchain, unpacked: `go` uses it without the `.ziphash` that all others need, and before go1.27 wrote none
/// (`cmd/go/internal/modfetch/cache.go`, DownloadDir).
fn without_ziphash(root: &Path, found: &mut Vec<Hashable>, odd: &mut Vec<PathBuf>) -> Result<(), CacheError> {
    let Some((host, _)) = FIPS.split_once('/').filter(|(host, _)| root.join(host).is_dir()) else { return Ok(()) };
    let folder = root.join(host);
    odd.extend(not_a_folder(root, Path::new(host)));
    let failed = |cause| CacheError { path: folder.clone(), cause };
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let module = entry.file_name().to_str().and_then(|name| ModuleVersion::unescape(&format!("{host}/{name}")));
        match module.filter(|module| module.path.as_ref() == FIPS) {
            Some(module) if entry.file_type().map_err(failed)?.is_dir() => {
                found.push(Hashable { path: entry.path(), module, content: Cached::ZipHash });
            }
            Some(_) => odd.push(entry.path()),
            None => {}
        }
    }
    Ok(())
}

/// The first part of `below` that is there and is no folder: `go` would follow a link.
fn not_a_folder(root: &Path, below: &Path) -> Option<PathBuf> {
    let mut path = root.to_owned();
    below.iter().find_map(|part| {
        path.push(part);
        path.symlink_metadata().is_ok_and(|found| !found.is_dir()).then(|| path.clone())
    })
}

fn odd_entry(path: &Path) -> Entry {
    let message = "the module cache has a link, or what is neither file nor folder: `go` makes none";
    Entry::Finding(Finding::new(Code::NotARegularFile, message).at(path))
}

/// `None` for what the toolchain brought along.
fn entry(cached: &Hashable, goroots: &[PathBuf]) -> Option<Entry> {
    let place = Place::from(&cached.path);
    let kind = if cached.content == Cached::Mod { Kind::Mod } else { Kind::Zip };
    match hash(cached) {
        Ok(h1) if kind == Kind::Zip && of_toolchain(goroots, &cached.module) == Some(h1) => None,
        Ok(h1) => Some(Entry::Hash(HashAt { place, module: cached.module.clone(), kind, hash: AnyHash::H1(h1) })),
        // A bound that `go` does not have.
        Err(error) if error.downcast_ref().is_some_and(ZipError::is_over_bound) => {
            Some(Entry::Unchecked(Unaudited { place, module: cached.module.to_string(), reason: in_full(&*error) }))
        }
        Err(error) => {
            let finding = Finding::new(Code::UnreadableFile, format!("cannot be hashed: {}", in_full(&*error)));
            Some(Entry::Finding(finding.at(place).about(&cached.module)))
        }
    }
}

fn hash(cached: &Hashable) -> Result<H1, Box<dyn Error>> {
    let open = || -> Result<File, Box<dyn Error>> {
        let opened = open_regular(&cached.path)?;
        opened.ok_or_else(|| "it is not a regular file, and go makes no others: remove it".into())
    };
    Ok(match cached.content {
        Cached::Zip => hash_module_zip(&open()?, &cached.module, &ZipLimits::default())?.h1,
        Cached::Mod => hash_go_mod(&read_bounded(open()?, MAX_GO_MOD)?.ok_or("larger than a go.mod may be")?),
        Cached::ZipHash => hash_dir(&cached.path, &cached.module.to_string())?,
    })
}
