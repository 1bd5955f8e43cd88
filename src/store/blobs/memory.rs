//! Blobs in memory, for tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Mutex;

use super::Blobs;
use crate::base::lock::lock;
use crate::store::{StagingFile, StoreError, key};

#[derive(Debug, Default)]
pub(in crate::store) struct MemoryBlobs(Mutex<BTreeMap<String, Vec<u8>>>);

fn failed(cause: io::Error) -> StoreError {
    StoreError::new("use", Path::new("memory"), cause)
}

impl Blobs for MemoryBlobs {
    fn put(&self, key: &str, mut staged: StagingFile) -> Result<File, StoreError> {
        key::file_path(Path::new(""), key)?;
        let mut bytes = Vec::new();
        staged.file.rewind().and_then(|()| staged.file.read_to_end(&mut bytes)).map_err(failed)?;
        lock(&self.0).entry(key.to_owned()).or_insert(bytes);
        Ok(staged.file)
    }

    fn get(&self, key: &str) -> Result<Option<File>, StoreError> {
        key::file_path(Path::new(""), key)?;
        let Some(bytes) = lock(&self.0).get(key).cloned() else {
            return Ok(None);
        };
        let mut file = tempfile::tempfile().map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.rewind()).map_err(failed)?;
        Ok(Some(file))
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        key::file_path(Path::new(""), key)?;
        lock(&self.0).remove(key);
        Ok(())
    }

    fn list(&self, folder: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        if !folder.is_empty() {
            key::file_path(Path::new(""), folder)?;
        }
        let all = lock(&self.0);
        let found: Vec<String> = all.keys().filter(|key| key.starts_with(&start)).cloned().collect();
        if found.len() > max {
            return Err(failed(io::Error::other(format!("expected at most {max} files, found {}", found.len()))));
        }
        Ok(found)
    }
}
