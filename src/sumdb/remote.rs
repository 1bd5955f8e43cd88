//! What the database is asked over the network. All of it comes back untrusted.

use url::Url;

use super::database::Database;
use super::error::SumdbError;
use crate::module::ModuleVersion;
use crate::origin::{HttpClient, HttpError};
use tlog::Tile;

/// The database at the other end.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    name: String,
    url: Url,
    http: HttpClient,
}

impl Remote {
    pub(super) fn new(database: &Database, http: HttpClient) -> Self {
        Self { name: database.name().to_owned(), url: database.url().clone(), http }
    }

    /// `lookup/M@V`: a record and a signed head.
    pub(super) async fn lookup(&self, module: &ModuleVersion) -> Result<Vec<u8>, SumdbError> {
        let name = escaped(module);
        let answer = self.http.get_small(self.at(&format!("lookup/{name}")), tlog::limits::MAX_LOOKUP_LEN).await;
        answer.map_err(|cause| match cause {
            HttpError::Absent { reason, .. } => SumdbError::Absent {
                database: self.name.clone(),
                what: module.to_string(),
                reason: reason.trim_start_matches(": ").to_owned(),
            },
            cause => self.unreachable(cause),
        })
    }

    /// `latest`: the newest signed head it wants to show.
    pub(super) async fn latest(&self) -> Result<Vec<u8>, SumdbError> {
        let answer = self.http.get_small(self.at("latest"), tlog::limits::MAX_NOTE_LEN).await;
        answer.map_err(|cause| self.unreachable(cause))
    }

    /// A tile of exactly the width asked for. A partial tile may have vanished once the full one exists
    /// (<https://c2sp.org/tlog-tiles>), so any failure of a partial one leads to the full one, cut.
    pub(super) async fn tile(&self, tile: &Tile) -> Result<Vec<u8>, SumdbError> {
        let exact = self.tile_bytes(tile).await;
        if tile.is_full() || exact.is_ok() {
            return exact.map_err(|cause| self.unreachable(cause));
        }
        let full = tile.full();
        let bytes = self.tile_bytes(&full).await.map_err(|cause| self.unreachable(cause))?;
        if bytes.len() != full.byte_len() {
            return Err(self.unverified(
                &full.to_string(),
                format!("it has {} bytes instead of {}", bytes.len(), full.byte_len()),
            ));
        }
        Ok(tile.cut(&bytes).map(<[u8]>::to_vec).unwrap_or_default())
    }

    async fn tile_bytes(&self, tile: &Tile) -> Result<Vec<u8>, HttpError> {
        self.http.get_small(self.at(&tile.to_string()), tile.full().byte_len()).await
    }

    pub(super) fn unverified(&self, what: &str, why: impl Into<String>) -> SumdbError {
        SumdbError::Unverified { database: self.name.clone(), what: what.to_owned(), why: why.into() }
    }

    fn unreachable(&self, cause: HttpError) -> SumdbError {
        SumdbError::Unreachable { database: self.name.clone(), cause }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url
    }
}

/// `path@version` as it stands in urls and file names, upper case escaped.
pub(super) fn escaped(module: &ModuleVersion) -> String {
    format!("{}@{}", module.path.escaped(), module.version.escaped())
}
