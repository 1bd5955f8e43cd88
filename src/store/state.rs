//! Small named values that change: the trusted head of a database, and what was first asked for.

pub(super) mod local;
#[cfg(test)]
pub(super) mod memory;

use std::io;
use std::path::Path;

use super::StoreError;

/// Small named values. Everything blocks.
///
/// A name is a key of one element (`blobs`). A value is as large as whoever reads it allows with `max`; a larger one is as good
/// as absent, for this program did not write it.
pub trait State: Send + Sync {
    /// The value, if there is one: an old one or a new one, whole.
    fn get(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the value by `new`, of at most `max` bytes, if it is `expected` (`None`: if there is none). Of several from the
    /// same value, in one process or many, one wins. When this returns [`Swap::Swapped`], the new value survives a power cut;
    /// a crash before leaves the old one or the new one.
    fn compare_and_swap(&self, name: &str, max: usize, expected: Option<&[u8]>, new: &[u8])
    -> Result<Swap, StoreError>;

    /// Writes a line behind the others, in the order of the calls; those of other processes stand whole between them. A crash
    /// may lose the last ones.
    fn append(&self, name: &str, line: &[u8]) -> Result<(), StoreError>;

    /// Takes what only one process and one task has at a time, and waits for it, but not for ever: then it is an error. It ends
    /// when it is dropped, and with the process. An implementation that cannot see a process end lets it end by time: then it
    /// guards nothing alone, and what is written under it is compared and swapped.
    fn lease(&self, name: &str) -> Result<Lease, StoreError>;
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap<V = Vec<u8>> {
    /// The new value is there, durably.
    Swapped,
    /// Another one was first; this is what is there now.
    Conflict(Option<V>),
}

/// Held until it is dropped.
pub type Lease = Box<dyn Send>;

/// What could not be read again with the same bound is not written.
fn check_len(place: &Path, new: &[u8], max: usize) -> Result<(), StoreError> {
    if new.len() <= max {
        return Ok(());
    }
    let words = format!("expected at most {max} bytes, found {}", new.len());
    Err(StoreError::new("write", place, io::Error::new(io::ErrorKind::InvalidInput, words)))
}
