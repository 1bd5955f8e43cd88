//! What the database is asked over the network. All of it comes back untrusted.

use std::sync::Arc;

use tokio::sync::OnceCell;
use url::Url;

use super::database::Database;
use super::error::SumdbError;
use crate::module::ModuleVersion;
use crate::origin::{HttpClient, HttpError, Source};
use tlog::Tile;

/// The database at the other end.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    database: Arc<Database>,
    http: HttpClient,
    /// Where it is asked, once that is known.
    base: Arc<OnceCell<Url>>,
}

/// An answer to `supported` has no content that matters.
const MAX_SUPPORTED: usize = 4 << 10;

impl Remote {
    pub(super) fn new(database: Database, http: HttpClient) -> Self {
        Self { database: Arc::new(database), http, base: Arc::default() }
    }

    /// Where to ask. Proxies that may pass the database on are tried first, as `go` does it
    /// (<https://go.dev/design/25530-sumdb#proxying-a-checksum-database>): a 200 settles it, absence leads on, and any
    /// other failure is one, unless a `|` stands behind that proxy.
    pub(super) async fn base(&self) -> Result<&Url, SumdbError> {
        let find = || async {
            for link in self.database.proxies() {
                let Source::Http(proxy) = &link.source else { continue };
                let base = below(proxy, &format!("sumdb/{}", self.database.name()));
                match self.http.get_small(below(&base, "supported"), MAX_SUPPORTED).await {
                    Ok(_) => return Ok(base),
                    Err(HttpError::Absent { .. }) => {}
                    Err(_) if link.on_any_failure => {}
                    Err(cause) => return Err(self.unreachable(cause)),
                }
            }
            Ok(self.database.url().clone())
        };
        self.base.get_or_try_init(find).await
    }

    /// `lookup/M@V`: a record and a signed head.
    pub(super) async fn lookup(&self, module: &ModuleVersion) -> Result<Vec<u8>, SumdbError> {
        let name = escaped(module);
        let url = below(self.base().await?, &format!("lookup/{name}"));
        let answer = self.http.get_small(url, tlog::limits::MAX_LOOKUP_LEN).await;
        answer.map_err(|cause| match cause {
            HttpError::Absent { reason, .. } => SumdbError::Absent {
                database: self.database.name().to_owned(),
                what: module.to_string(),
                reason: reason.trim_start_matches(": ").to_owned(),
            },
            cause => self.unreachable(cause),
        })
    }

    /// `latest`: the newest signed head it wants to show.
    pub(super) async fn latest(&self) -> Result<Vec<u8>, SumdbError> {
        let url = below(self.base().await?, "latest");
        let answer = self.http.get_small(url, tlog::limits::MAX_NOTE_LEN).await;
        answer.map_err(|cause| self.unreachable(cause))
    }

    /// A tile of exactly the width asked for. A partial tile may have vanished once the full one exists
    /// (<https://c2sp.org/tlog-tiles>), so any failure of a partial one leads to the full one, cut.
    pub(super) async fn tile(&self, tile: &Tile) -> Result<Vec<u8>, SumdbError> {
        let base = self.base().await?;
        let exact = self.tile_bytes(base, tile).await;
        if tile.is_full() || exact.is_ok() {
            return exact.map_err(|cause| self.unreachable(cause));
        }
        let full = tile.full();
        let bytes = self.tile_bytes(base, &full).await.map_err(|cause| self.unreachable(cause))?;
        if bytes.len() != full.byte_len() {
            return Err(self.unverified(
                &full.to_string(),
                format!("it has {} bytes instead of {}", bytes.len(), full.byte_len()),
            ));
        }
        Ok(tile.cut(&bytes).map(<[u8]>::to_vec).unwrap_or_default())
    }

    async fn tile_bytes(&self, base: &Url, tile: &Tile) -> Result<Vec<u8>, HttpError> {
        self.http.get_small(below(base, &tile.to_string()), tile.full().byte_len()).await
    }

    pub(super) fn unverified(&self, what: &str, why: impl Into<String>) -> SumdbError {
        SumdbError::Unverified { database: self.database.name().to_owned(), what: what.to_owned(), why: why.into() }
    }

    fn unreachable(&self, cause: HttpError) -> SumdbError {
        SumdbError::Unreachable { database: self.database.name().to_owned(), cause }
    }
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// `path@version` as it stands in urls and file names, upper case escaped.
pub(super) fn escaped(module: &ModuleVersion) -> String {
    format!("{}@{}", module.path.escaped(), module.version.escaped())
}
