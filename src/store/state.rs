//! Small named values: the trusted head of a database, and the times of first requests.

pub(super) mod local;
#[cfg(test)]
pub(super) mod memory;

use std::io;
use std::path::Path;

use super::StoreError;

/// Small named values. Everything blocks.
///
/// A name is a key of one element (`blobs`). A value that is larger than `max` of its reader is treated as missing, because this
/// program did not write it.
pub trait State: Send + Sync {
    /// The value, if there is one. During a write it is the whole old or the whole new value.
    fn get(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the value by `new`, of at most `max` bytes, if it is `expected` (`None`: missing). Of concurrent swaps from the
    /// same value, also in several processes, only one succeeds. After [`Swap::Swapped`] the new value survives a power cut; a
    /// crash before leaves the old or the new one.
    fn compare_and_swap(&self, name: &str, max: usize, expected: Option<&[u8]>, new: &[u8])
    -> Result<Swap, StoreError>;

    /// Appends a line, in the order of the calls. Lines of other processes may be between, but each line is whole. A crash may
    /// lose the last ones.
    fn append(&self, name: &str, line: &[u8]) -> Result<(), StoreError>;

    /// Waits for a lease that only one task of one process holds; after a timeout it is an error. It ends on drop and with the
    /// process. An implementation that cannot observe the end of a process must expire it, so writes under it must still be
    /// compare-and-swap.
    fn lease(&self, name: &str) -> Result<Lease, StoreError>;
}

/// The result of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap<V = Vec<u8>> {
    /// The new value is stored durably.
    Swapped,
    /// The value differs; this is the current one.
    Conflict(Option<V>),
}

/// A lease, held until dropped.
pub type Lease = Box<dyn Send>;

/// Refuses a value that could not be read again with the same limit.
fn check_len(path: &Path, new: &[u8], max: usize) -> Result<(), StoreError> {
    if new.len() <= max {
        return Ok(());
    }
    let words = format!("expected at most {max} bytes, found {}", new.len());
    Err(StoreError::new("write", path, io::Error::new(io::ErrorKind::InvalidInput, words)))
}
