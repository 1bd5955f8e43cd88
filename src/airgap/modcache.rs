//! The download folder of a module cache, `GOMODCACHE/cache/download`: a GOPROXY tree already
//! (<https://go.dev/ref/mod#module-cache>).
//!
//! What is not a file of a version there (locks, hashes that `go` wrote down, its own tiles) is passed over.

use std::path::Path;

use super::error::AirgapError;
use super::fetch_plan::FetchPlan;
use super::layout::Entry;
use crate::base::limits::MAX_DEPTH;
use crate::base::tree::{Unreadable, below, name_below};
use gomodule::proxy_request::Request;

/// The files of module versions in the download folder of a module cache. Blocks.
pub(crate) fn files_of(download: &Path) -> Result<FetchPlan, AirgapError> {
    let mut wanted = FetchPlan::default();
    for entry in below(download, |_| true) {
        let entry = entry.map_err(|Unreadable { path, cause }| AirgapError::io("read", &path)(cause))?;
        let Some(name) = name_below(download, &entry) else { continue };
        let kind = entry.file_type();
        if kind.is_dir() && entry.depth() > MAX_DEPTH {
            return Err(AirgapError::malformed(download, name, "is nested too deeply"));
        }
        if let (true, Ok(Entry::Module(Request::File(artifact)))) = (kind.is_file(), Entry::parse(name, &[])) {
            wanted.add(&artifact.module, artifact.kind);
        }
    }
    Ok(wanted)
}
