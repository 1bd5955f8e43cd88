//! A `file://` source: a folder with a GOPROXY tree.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::config::folder_url;
use super::error::{SourceFailure, UpstreamError};
use super::http::HttpError;
use super::race::Progress;
use super::sink::{DownloadSink, Part};
use super::wanted::Wanted;
use crate::base::tree::open_file;

#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) async fn small(&self, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let file = self.open(wanted).await?;
        let mut body = Vec::new();
        // One more byte than the limit shows that a file is too large.
        let read = file.take(wanted.max_len() as u64 + 1).read_to_end(&mut body).await;
        let read = read.map_err(|cause| UpstreamError::Io { what: format!("cannot read {wanted}"), cause })?;
        if read > wanted.max_len() { Err(self.too_large(wanted)) } else { Ok(body) }
    }

    pub(super) async fn send(
        &self,
        wanted: &Wanted,
        sink: &DownloadSink,
        progress: &Progress,
    ) -> Result<(), UpstreamError> {
        let file = self.open(wanted).await?;
        progress.began();
        let found = file.metadata().await;
        let found = found.map_err(|cause| UpstreamError::Io { what: format!("cannot copy {wanted}"), cause })?;
        if found.len() > wanted.max_len() as u64 {
            return Err(self.too_large(wanted));
        }
        sink.send(Part::File(Arc::new(file.into_std().await))).await
    }

    pub(super) async fn open(&self, wanted: &Wanted) -> Result<File, UpstreamError> {
        let path = self.0.join(wanted.to_string());
        let named = path.clone();
        let opened = tokio::task::spawn_blocking(move || open_file(&named)).await;
        let cause = match opened.unwrap_or_else(|cancelled| Err(io::Error::other(cancelled))) {
            Ok(file) => return Ok(File::from_std(file)),
            Err(cause) => cause,
        };
        // A query may be longer than a file name can be.
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::InvalidFilename];
        if !absent.contains(&cause.kind()) {
            return Err(UpstreamError::Io { what: format!("cannot open {}", path.display()), cause });
        }
        let root = self.0.clone();
        let trouble = tokio::task::spawn_blocking(move || trouble_of_root(&root)).await;
        match trouble.unwrap_or_else(|_| Some("internal task was cancelled".to_owned())) {
            Some(why) => Err(UpstreamError::Source(self.name(), SourceFailure::EmptyRoot(why))),
            None => Err(UpstreamError::NotFound(format!("{}: not found", path.display()))),
        }
    }

    fn too_large(&self, wanted: &Wanted) -> UpstreamError {
        HttpError::TooLarge { url: format!("{}/{wanted}", self.name()), limit: wanted.max_len() as u64 }.into()
    }

    fn name(&self) -> String {
        folder_url(&self.0)
    }
}

/// Why the folder of a `file://` source cannot be used: it is missing or empty, so its file system may not be mounted, and a
/// missing file in it is not proof of absence. Blocks.
pub fn trouble_of_root(root: &Path) -> Option<String> {
    match std::fs::read_dir(root).and_then(|mut entries| entries.next().transpose()) {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("the folder {} is empty: check that its file system is mounted", root.display())),
        Err(error) => Some(format!("cannot read the folder {}: {error}", root.display())),
    }
}
