//! Limits of the zip reader.

use std::thread;

use crate::artifact::Kind;
use crate::gomod::MAX_GO_MOD;

/// Size of the buffers for reading and for inflated data, in bytes. Both fit into the second-level cache.
pub(super) const BUFFER_LEN: usize = 64 << 10;

/// The largest zip that is read, in bytes, and the number of threads.
#[derive(Clone, Copy, Debug)]
pub struct ZipLimits {
    /// The zip, and the total of its unpacked files: 500 MiB (MaxZipFile).
    pub zip: u64,
    /// go.mod, and LICENSE: 16 MiB each (MaxGoMod, MaxLICENSE).
    pub single: u64,
    /// Threads for a large zip; a small one is read by one thread.
    pub threads: usize,
}

impl Default for ZipLimits {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
        Self { zip: Kind::Zip.max_len() as u64, single: MAX_GO_MOD, threads }
    }
}
