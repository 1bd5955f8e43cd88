//! Stage `commit`: puts verified bytes into the store durably, and keeps the hashed file open.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;

use super::basis::Basis;
use super::error::ReleaseError;
use super::obtain::{ByteSource, Handle, Unproved};
use super::prove::Verified;
use crate::base::lock::lock;
use crate::store::{Identity, Store};
use gomodule::artifact::Kind;
use gomodule::dirhash::{H1, hash_go_mod};

/// A file that may be served: the open file that was hashed, and its identity at that time. Made from a [`Verified`]
/// ([`Released::commit`]), or from the unchanged file of an earlier release ([`KnownFile::reopened`]).
#[derive(Clone, Debug)]
pub(crate) struct Released {
    file: Arc<File>,
    identity: Identity,
    basis: Basis,
    source: ByteSource,
    /// Its bytes, if they are in memory.
    bytes: Option<Bytes>,
}

/// What is remembered of a file that was hashed.
#[derive(Clone)]
pub(super) struct KnownFile {
    identity: Identity,
    basis: Basis,
    source: ByteSource,
    /// The open file while it is read: a thousand readers share one.
    open: Arc<Mutex<Weak<File>>>,
}

impl Released {
    /// Stores verified bytes, unless they are stored. Blocks.
    pub(super) fn commit(verified: Verified, store: &Store) -> Result<Self, ReleaseError> {
        let (Unproved { artifact, handle, source, .. }, basis) = verified.into_parts();
        let (file, identity) = match handle {
            Handle::Stored(file, identity) => {
                if artifact.kind == Kind::Zip {
                    // The disk may have been full when it was downloaded.
                    store.tree().add_to_list(&artifact.module);
                }
                (file, identity)
            }
            Handle::Staging(staged) => {
                let file = match artifact.kind {
                    Kind::Zip => store.tree().keep_listed(staged, &artifact)?,
                    Kind::Mod | Kind::Info => store.tree().keep(staged, &artifact)?,
                };
                let identity = Identity::of(&file).map_err(|cause| ReleaseError::read(&artifact, cause))?;
                tracing::info!(
                    target: "events", module = %artifact.module, kind = artifact.kind.extension(), h1 = %basis.h1(),
                    bytes = identity.size(), %source, by = %basis, "released"
                );
                (file, identity)
            }
        };
        Ok(Self { file: Arc::new(file), identity, basis, source, bytes: None })
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn h1(&self) -> H1 {
        self.basis.h1()
    }

    pub(crate) fn basis(&self) -> &Basis {
        &self.basis
    }

    pub(crate) fn source(&self) -> &ByteSource {
        &self.source
    }

    /// Its bytes, if they are in memory.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// Reads its bytes into memory, if they are those that were hashed. Blocks.
    pub(super) fn load(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(self.identity.size()).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, 0)?;
        if Identity::of(&self.file)? == self.identity {
            self.bytes = Some(Bytes::from(bytes));
        }
        Ok(())
    }

    /// The bytes of a go.mod, if they still have the h1. Blocks.
    pub(crate) fn go_mod(&self) -> io::Result<Bytes> {
        // It was hashed, so it is within the limit for a go.mod.
        let mut bytes = vec![0; usize::try_from(self.identity.size()).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, 0)?;
        if hash_go_mod(&bytes) != self.h1() {
            return Err(io::Error::other("it changed after it was hashed"));
        }
        Ok(Bytes::from(bytes))
    }
}

impl KnownFile {
    pub(super) fn of(released: &Released) -> Self {
        let Released { file, identity, basis, source, .. } = released.clone();
        Self { identity, basis, source, open: Arc::new(Mutex::new(Arc::downgrade(&file))) }
    }

    pub(super) fn source(&self) -> &ByteSource {
        &self.source
    }

    /// The file that was hashed, if `file` is the same one. An already open one is shared. Blocks.
    pub(super) fn reopened(self, file: File) -> io::Result<Option<Released>> {
        if Identity::of(&file)? != self.identity {
            return Ok(None);
        }
        let mut open = lock(&self.open);
        let file = open.upgrade().unwrap_or_else(|| Arc::new(file));
        *open = Arc::downgrade(&file);
        drop(open);
        Ok(Some(Released { file, identity: self.identity, basis: self.basis, source: self.source, bytes: None }))
    }
}
