//! How large a zip may be, and how it is read.

use std::thread;

use crate::artifact::Kind;
use crate::gomod::MAX_GO_MOD;

/// One read, and one piece of inflated data: fits the second-level cache together.
pub(super) const PIECE: usize = 64 << 10;

/// How large a zip and its parts may be, in bytes, and how many threads read it.
#[derive(Clone, Copy, Debug)]
pub struct ZipLimits {
    /// The file, and all its files unpacked together: 500 MiB (MaxZipFile).
    pub zip: u64,
    /// go.mod, and LICENSE: 16 MiB each (MaxGoMod, MaxLICENSE).
    pub single: u64,
    /// Threads for one large zip; small ones take one.
    pub threads: usize,
}

impl Default for ZipLimits {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
        Self { zip: Kind::Zip.max_len() as u64, single: MAX_GO_MOD, threads }
    }
}
