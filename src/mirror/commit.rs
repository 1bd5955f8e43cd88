//! Stage `commit`: proved bytes at their place, durably, and still the same open file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::error::{Expected, MirrorError, Voucher};
use super::obtain::ByteSource;
use super::prove::Proven;
use crate::artifact::Kind;
use crate::dirhash::{H1, hash_go_mod};
use crate::store::{Identity, Store};

/// A file that may go out: the very file that was hashed, open, and what it was when it was hashed.
#[derive(Clone, Debug)]
pub(super) struct Released {
    pub(super) file: Arc<File>,
    pub(super) identity: Identity,
    pub(super) h1: H1,
    pub(super) by: Voucher,
    /// Where the bytes came from.
    pub(super) source: ByteSource,
}

impl Released {
    /// The bytes of a go.mod, if they still have its h1. Blocks.
    pub(super) fn go_mod(&self) -> io::Result<Bytes> {
        // It was hashed, so it is no larger than a go.mod may be.
        let mut bytes = vec![0; usize::try_from(self.identity.size()).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, 0)?;
        if hash_go_mod(&bytes) != self.h1 {
            return Err(io::Error::other("it changed after it was hashed"));
        }
        Ok(Bytes::from(bytes))
    }
}

/// Puts proved bytes in place. Blocks.
pub(super) fn commit(proven: Proven, store: &Store) -> Result<Released, MirrorError> {
    let (h1, by) = (proven.h1(), proven.by().clone());
    let staged = proven.into_hashed().staged;
    let artifact = staged.artifact;
    if by == Voucher::FirstSeen {
        let pinned = store.pin_first(&artifact, &h1)?;
        if pinned != h1 {
            // Another process pinned other bytes since we looked.
            let expected = Expected { h1: pinned, by };
            let tried = vec![format!("{}: {h1}", staged.source)];
            return Err(MirrorError::WrongBytes { artifact: Box::new(artifact), expected, tried });
        }
    }
    let file = store.keep(staged.file, &artifact)?;
    if artifact.kind == Kind::Zip {
        store.add_to_list(&artifact.module);
    }
    let read = |cause| MirrorError::Read { artifact: Box::new(artifact.clone()), cause };
    let identity = Identity::of(&file).map_err(read)?;
    tracing::info!(
        target: "trail", module = %artifact.module, kind = artifact.kind.extension(), %h1,
        bytes = identity.size(), source = staged.source.to_string(), %by, "released"
    );
    Ok(Released { file: Arc::new(file), identity, h1, by, source: staged.source })
}
