//! Reads what [`super::examine`] judges: settings, files, and the mirror.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use tlog::limits::MAX_NOTE_LEN;
use tlog::{SUMDB_ORIGIN, SignedCheckpoint};
use url::Url;

use crate::audit::{FindError, LeftOut, find, why_unread};
use crate::base::text::one_line;
use crate::base::tree::read_regular;
use crate::go::environment::GoEnv;
use crate::sumdb::Database;
use crate::upstream::{HttpClient, HttpError, Roots, with_scheme};

/// What weakens the checks of `go`, or may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSettings {
    /// The settings of `go`.
    pub go: GoEnv,
    /// go.sum files without a go.mod beside them.
    pub orphans: Vec<PathBuf>,
    /// Folders that could not be searched, and why.
    pub unsearched: Vec<(PathBuf, String)>,
    /// Why the first proxy of GOPROXY does not answer.
    pub mirror_error: Option<String>,
    /// If both are known.
    pub heads: Option<Heads>,
    /// This machine has no CA certificates.
    pub no_certificates: bool,
}

/// Tree sizes of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The newest that `go` remembers on this machine.
    pub client: u64,
    /// The newest that the mirror has.
    pub mirror: u64,
}

/// The default proxy of `go`. It is not a mirror of the operator, and `direct` after it is the default.
const DEFAULT_PROXY: &str = "https://proxy.golang.org";

/// Limit of what is quoted of an answer that is no tree head: the first line of a page.
const MAX_QUOTED: usize = 80;

/// Reads the settings, the files below `folder` except those in `left_out`, and the mirror, if GOPROXY names one.
pub async fn gather(go: GoEnv, folder: &Path, left_out: &LeftOut, http: &HttpClient) -> GoSettings {
    let mut unsearched = Vec::new();
    let targets = match find(folder, left_out) {
        Ok(found) => {
            let why = |(unread, error): &(PathBuf, io::Error)| {
                why_unread(folder, unread, &format_args!("cannot read it: {error}"))
            };
            unsearched.extend(found.unread.iter().map(|unread| (unread.0.clone(), why(unread))));
            found.targets
        }
        Err(FindError::Nothing(_)) => Vec::new(),
        Err(error) => {
            unsearched.push((folder.to_owned(), error.to_string()));
            Vec::new()
        }
    };
    let is_orphan = |sum: &PathBuf| sum.file_name().is_some_and(|name| name == "go.sum");
    let read = targets.into_iter().filter(|target| target.go_mod.is_none() && target.apart.is_none());
    let orphans = read.filter_map(|target| target.sum).filter(is_orphan).collect();
    let mut settings = GoSettings {
        go,
        orphans,
        unsearched,
        no_certificates: http.roots() == Roots::BuiltIn,
        ..GoSettings::default()
    };
    let go = &settings.go;
    if let (Some(mirror), Ok(database)) = (own_mirror(go), Database::parse(go.get("GOSUMDB"))) {
        match mirror_head(&mirror, &database, http).await {
            Ok(size) => {
                let both = client_head(go, &database).zip(size);
                settings.heads = both.map(|(client, mirror)| Heads { client, mirror });
            }
            Err(error) => settings.mirror_error = Some(error.to_string()),
        }
    }
    settings
}

/// The first proxy of GOPROXY, if it is not the one of `go`'s default.
pub(super) fn own_mirror(go: &GoEnv) -> Option<Cow<'_, str>> {
    let first = go.get("GOPROXY").split([',', '|']).map(str::trim).find(|name| !name.is_empty())?;
    let first = with_scheme(first);
    let is_http = first.starts_with("http://") || first.starts_with("https://");
    (is_http && first.trim_end_matches('/') != DEFAULT_PROXY).then_some(first)
}

#[derive(Debug, thiserror::Error)]
enum MirrorHeadError {
    #[error("{0} is not a valid URL: {1}")]
    Url(String, url::ParseError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("{url}: expected a tree head signed by {database} ({why}), found {found:?}: another server may be there")]
    NotAHead { url: Url, database: String, why: String, found: String },
}

/// The size of the newest tree that the mirror has; `None` if it answers that it does not pass the database on, or needs a login,
/// which `go` may have.
async fn mirror_head(mirror: &str, database: &Database, http: &HttpClient) -> Result<Option<u64>, MirrorHeadError> {
    let url = format!("{}/sumdb/{}/latest", mirror.trim_end_matches('/'), database.name());
    let url = Url::parse(&url).map_err(|error| MirrorHeadError::Url(mirror.to_owned(), error))?;
    let not_a_head = |why: String, found: &[u8]| {
        let found = one_line(&String::from_utf8_lossy(found), MAX_QUOTED);
        MirrorHeadError::NotAHead { url: url.clone(), database: database.name().to_owned(), why, found }
    };
    match http.get_small(url.clone(), MAX_NOTE_LEN).await {
        Ok(note) => match SignedCheckpoint::open(&note, SUMDB_ORIGIN, database.key()) {
            Ok(head) => Ok(Some(head.size().get())),
            Err(error) => Err(not_a_head(error.to_string(), &note)),
        },
        Err(HttpError::Absent { .. } | HttpError::Status { status: 401 | 403, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The size of the newest tree that `go` remembers: `$GOPATH/pkg/sumdb/NAME/latest`. `go clean -modcache` does not delete it.
fn client_head(go: &GoEnv, database: &Database) -> Option<u64> {
    let path = go.gopath()?.join("pkg/sumdb").join(database.name()).join("latest");
    let head = SignedCheckpoint::open(&read_regular(&path, MAX_NOTE_LEN as u64).ok()?, SUMDB_ORIGIN, database.key());
    head.ok().map(|head| head.size().get())
}
