//! State as files in one folder. The lock of a value, and a lease, is the file `NAME.lock` beside it.

use std::path::PathBuf;

use super::{Lease, State, Swap, check_len};
use crate::store::durable::{self, Durability, Modes};
use crate::store::lock::lock;
use crate::store::{StoreError, key, open};

/// The values in one folder, which must exist before a write. Values have the mode of `modes`; only this user may open locks.
#[derive(Clone, Debug)]
pub(in crate::store) struct LocalState {
    dir: PathBuf,
    modes: Modes,
}

impl LocalState {
    pub(in crate::store) fn new(dir: PathBuf, modes: Modes) -> Self {
        Self { dir, modes }
    }
}

impl State for LocalState {
    fn get(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = key::value_path(&self.dir, name)?;
        open::read(&path, max).map_err(|cause| StoreError::new("read", &path, cause))
    }

    fn compare_and_swap(
        &self,
        name: &str,
        max: usize,
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Swap, StoreError> {
        let path = key::value_path(&self.dir, name)?;
        check_len(&path, new, max)?;
        let _lease = self.lease(name)?;
        let found = self.get(name, max)?;
        if found.as_deref() != expected {
            return Ok(Swap::Conflict(found));
        }
        durable::write(&path, new, Durability::Synced, self.modes)?;
        Ok(Swap::Swapped)
    }

    fn append(&self, name: &str, line: &[u8]) -> Result<(), StoreError> {
        durable::append(&key::value_path(&self.dir, name)?, line, self.modes)
    }

    fn lease(&self, name: &str) -> Result<Lease, StoreError> {
        key::value_path(&self.dir, name)?;
        Ok(Box::new(lock(&self.dir.join(format!("{name}.lock")))?))
    }
}
