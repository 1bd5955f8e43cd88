//! Writes an export: into a folder, or into a tar archive compressed with zstd (RFC 8878).
//!
//! The archive has regular files only, with one mode and no dates, so that equal exports are equal archives. It appears
//! under its name once it is complete. The list of contents comes last, so a folder without it is not whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::content_list::{ContentList, Hashed};
use super::error::AirgapError;
use super::layout::LIST;
use crate::base::bounded::from_start;
use crate::base::tree::folder_of;
use crate::store::Modes;
use crate::store::durable::{self, Durability};

/// The fastest level: module zips are compressed already.
const LEVEL: i32 = 1;

/// Names of archives that are not written: the user does not expect a folder there.
const OTHER_ARCHIVES: [&str; 7] = [".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".zst", ".zip"];

/// An export being written.
pub(crate) struct ExportWriter {
    path: PathBuf,
    output: Output,
    list: ContentList,
}

type Archive = tar::Builder<zstd::Encoder<'static, NamedTempFile>>;

enum Output {
    Folder,
    Archive(Box<Archive>),
}

impl ExportWriter {
    /// Begins an archive if the name ends in `.tar.zst`, else a folder, which must be new or empty. All methods block.
    pub(crate) fn create(path: &Path) -> Result<Self, AirgapError> {
        let failed = |doing| AirgapError::io(doing, path);
        let name = path.to_string_lossy();
        let output = if name.ends_with(".tar.zst") {
            // Reported now rather than after the export, when it cannot be renamed.
            if path.is_dir() {
                return Err(failed("make")(io::ErrorKind::IsADirectory.into()));
            }
            let file = NamedTempFile::new_in(folder_of(path)).map_err(failed("make"))?;
            // Other users read an export; temporary files are private by default.
            Modes::Shared.give(file.as_file()).map_err(failed("make"))?;
            let mut encoder = zstd::Encoder::new(file, LEVEL).map_err(failed("make"))?;
            encoder.include_checksum(true).map_err(failed("make"))?;
            Output::Archive(Box::new(tar::Builder::new(encoder)))
        } else if OTHER_ARCHIVES.iter().any(|end| name.ends_with(end)) {
            return Err(AirgapError::OtherArchive(path.to_owned()));
        } else {
            fs::create_dir_all(path).map_err(failed("make"))?;
            if fs::read_dir(path).map_err(failed("read"))?.next().is_some() {
                return Err(AirgapError::NotEmpty(path.to_owned()));
            }
            Output::Folder
        };
        Ok(Self { path: path.to_owned(), output, list: ContentList::default() })
    }

    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), AirgapError> {
        self.write(name, bytes, bytes.len() as u64)
    }

    /// Adds an entry from the first `len` bytes of an open file.
    pub(crate) fn add_file(&mut self, name: &str, file: &File, len: u64) -> Result<(), AirgapError> {
        self.write(name, from_start(file).take(len), len)
    }

    fn write(&mut self, name: &str, from: impl Read, len: u64) -> Result<(), AirgapError> {
        let mut from = Hashed::new(from);
        match &mut self.output {
            Output::Folder => {
                let path = self.path.join(name);
                let failed = |cause| AirgapError::io("write", &path)(cause);
                fs::create_dir_all(path.parent().unwrap_or(&self.path)).map_err(failed)?;
                let copied = io::copy(&mut from, &mut File::create_new(&path).map_err(failed)?).map_err(failed)?;
                if copied != len {
                    return Err(failed(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            Output::Archive(archive) => {
                append(archive, name, &mut from, len).map_err(AirgapError::io("write", &self.path))?;
            }
        }
        self.list.files.insert(name.to_owned(), from.sha256());
        Ok(())
    }

    /// Completes the export with its list of contents. An archive is then on disk, under its name.
    pub(crate) fn finish(self) -> Result<(), AirgapError> {
        if !self.list.fits() {
            return Err(AirgapError::TooMany(self.path));
        }
        let list = self.list.text().into_bytes();
        let failed = |cause| AirgapError::io("write", &self.path)(cause);
        match self.output {
            Output::Folder => durable::write(&self.path.join(LIST), &list, Durability::Synced, Modes::Shared)?,
            Output::Archive(mut archive) => {
                append(&mut archive, LIST, list.as_slice(), list.len() as u64).map_err(failed)?;
                let file = archive.into_inner().and_then(zstd::Encoder::finish).map_err(failed)?;
                file.as_file().sync_all().map_err(failed)?;
                file.persist(&self.path).map_err(|error| failed(error.error))?;
            }
        }
        Ok(())
    }
}

fn append(archive: &mut Archive, name: &str, from: impl Read, len: u64) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(len);
    archive.append_data(&mut header, name, from)
}
