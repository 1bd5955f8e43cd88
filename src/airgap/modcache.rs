//! The download folder of a module cache, `GOMODCACHE/cache/download`: a GOPROXY tree already
//! (<https://go.dev/ref/mod#module-cache>).
//!
//! What is not a file of a version there (locks, hashes that `go` wrote down, its own tiles) is passed over.

use std::fs;
use std::path::Path;

use super::error::CarryError;
use super::layout::Entry;
use super::wanted::Wanted;
use gomodule::proxy_request::Request;

/// As for `audit --modcache`.
const MAX_DEPTH: usize = 256;

/// The files of module versions in the download folder of a module cache. Blocks.
pub fn files_of(download: &Path) -> Result<Wanted, CarryError> {
    let mut wanted = Wanted::default();
    walk(download, "", 0, &mut wanted)?;
    Ok(wanted)
}

fn walk(root: &Path, below: &str, depth: usize, wanted: &mut Wanted) -> Result<(), CarryError> {
    let folder = root.join(below);
    let failed = |cause| CarryError::io("read", &folder)(cause);
    if depth > MAX_DEPTH {
        return Err(CarryError::malformed(root, below, "is nested too deeply"));
    }
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let own = entry.file_name();
        let Some(own) = own.to_str() else { continue };
        let name = if below.is_empty() { own.to_owned() } else { format!("{below}/{own}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(root, &name, depth + 1, wanted)?;
        } else if let (true, Ok(Entry::Module(Request::File(artifact)))) = (kind.is_file(), Entry::parse(&name, &[])) {
            wanted.add(&artifact.module, artifact.kind);
        }
    }
    Ok(())
}
