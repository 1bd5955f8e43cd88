//! State in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{Lease, State, Swap, check_len};
use crate::base::lock::lock;
use crate::store::{StoreError, key};

#[derive(Debug, Default)]
pub(in crate::store) struct MemoryState {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
    leases: Arc<Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    held: Mutex<BTreeSet<String>>,
    given_back: Condvar,
}

struct Held(String, Arc<Leases>);

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.1.held).remove(&self.0);
        self.1.given_back.notify_all();
    }
}

impl State for MemoryState {
    fn get(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        key::value_path(Path::new(""), name)?;
        let values = lock(&self.values);
        Ok(values.get(name).filter(|value| value.len() <= max).cloned())
    }

    fn compare_and_swap(
        &self,
        name: &str,
        max: usize,
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Swap, StoreError> {
        key::value_path(Path::new(""), name)?;
        check_len(Path::new(name), new, max)?;
        let mut values = lock(&self.values);
        let found = values.get(name).filter(|value| value.len() <= max).cloned();
        if found.as_deref() != expected {
            return Ok(Swap::Conflict(found));
        }
        values.insert(name.to_owned(), new.to_owned());
        Ok(Swap::Swapped)
    }

    fn append(&self, name: &str, line: &[u8]) -> Result<(), StoreError> {
        key::value_path(Path::new(""), name)?;
        let mut values = lock(&self.values);
        values.entry(name.to_owned()).or_default().extend(line);
        Ok(())
    }

    fn lease(&self, name: &str) -> Result<Lease, StoreError> {
        key::value_path(Path::new(""), name)?;
        let held = lock(&self.leases.held);
        let free = self.leases.given_back.wait_while(held, |held| held.contains(name));
        free.unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(Box::new(Held(name.to_owned(), Arc::clone(&self.leases))))
    }
}
