//! `direct`: modules from version control, by the `go` command with git.
//!
//! What a proxy would answer is made of what `go` prints: `.info`, `.mod` and `.zip` by `go mod download -json M@V`
//! (<https://go.dev/ref/mod#go-mod-download>), lists and queries by `go list -m -json` (<https://go.dev/ref/mod#go-list-m>).
//! Nothing of it is trusted more than what a proxy says: the zip takes the same way through the pipeline. One run gives
//! all three files of a version; it is kept for a moment, since whoever asks for one of them asks for the next.

pub(super) mod command;
pub(super) mod error;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use self::command::{Printed, Settings};
use self::error::DirectError;
use super::error::UpstreamError;
use super::recent::Recent;
use super::scope::Scope;
use super::sink::{DownloadSink, Part};
use super::wanted::Wanted;
use crate::base::clock::Clock;
use crate::base::flight::{Cancelled, Flights};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// How long the files of a version are kept for whoever asks for the next one: `go` does so within a second or two, and
/// whoever moved a tag does not wait for long.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// Versions whose files are kept at the same time; with the largest zips 4 GB. More are not kept.
const MAX_KEPT: usize = 8;
/// Paths of which it is remembered whether they lead to a repository: about 150 bytes each.
const MAX_READABLE: u64 = 1000;

pub(super) struct Direct {
    go: Arc<Settings>,
    /// No other path is ever asked for.
    scope: Scope,
    flights: Flights<ModuleVersion, Result<Arc<Fetched>, DirectError>>,
    kept: Arc<Mutex<HashMap<ModuleVersion, Arc<Fetched>>>>,
    lists: Flights<ModulePath, Result<Vec<u8>, DirectError>>,
    /// Whether a path leads to a repository that can be read here, for a moment: `go get` asks for every prefix.
    readable: Recent<ModulePath, bool>,
}

/// The files of a version, open; their folder is gone already.
#[derive(Debug)]
struct Fetched {
    info: Vec<u8>,
    go_mod: OpenFile,
    /// `go` may be older than what the go.mod asks for; then there is no zip.
    zip: Result<OpenFile, DirectError>,
}

type OpenFile = (Arc<File>, u64);

/// What `go mod download -json` prints.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Downloaded {
    error: String,
    info: Option<PathBuf>,
    go_mod: Option<PathBuf>,
    zip: Option<PathBuf>,
}

/// What `go list -m -json` prints.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    version: String,
    time: Option<String>,
    versions: Vec<String>,
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("direct")
    }
}

impl Direct {
    pub(super) fn new(settings: &Settings, scope: Scope, clock: Clock) -> Self {
        let go = Arc::new(settings.clone());
        let readable = Recent::new(MAX_READABLE, KEPT_FOR, clock);
        Self { go, scope, flights: Flights::default(), kept: Arc::default(), lists: Flights::default(), readable }
    }

    pub(super) async fn small(&self, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let body = match asked(wanted)? {
            Request::List(module) => self.seen(module, self.list(module).await).await?,
            Request::Latest(module) => self.seen(module, self.query(module, "latest").await).await?,
            Request::Query(module, query) => self.seen(module, self.query(module, query.as_ref()).await).await?,
            Request::File(Artifact { module, kind: Kind::Info }) => {
                self.seen(&module.path, self.fetch(module).await).await?.info.clone()
            }
            Request::File(_) => return Err(UpstreamError::NotFound(wanted.to_string())),
        };
        if body.len() > wanted.max_len() {
            return Err(nonsense(format!("what it says of {wanted} has more than {} bytes", wanted.max_len())));
        }
        Ok(body)
    }

    pub(super) async fn download(&self, wanted: &Wanted, sink: &DownloadSink) -> Result<(), UpstreamError> {
        let Request::File(Artifact { module, kind: kind @ (Kind::Mod | Kind::Zip) }) = asked(wanted)? else {
            return Err(UpstreamError::NotFound(wanted.to_string()));
        };
        let fetched = self.seen(&module.path, self.fetch(module).await).await?;
        let (file, length) = match kind {
            Kind::Zip => fetched.zip.as_ref().map_err(DirectError::clone)?,
            _ => &fetched.go_mod,
        };
        let limit = kind.max_len() as u64;
        if *length > limit {
            return Err(nonsense(format!("a file of it has more than {limit} bytes")));
        }
        sink.send(Part::File(Arc::clone(file))).await?;
        if *kind == Kind::Zip {
            // The last that anybody asks for.
            locked(&self.kept).remove(module);
        }
        Ok(())
    }

    /// An answer about `module`, where a host that shows nothing is believed if it showed a repository that can be read here
    /// for a shorter path of the same pattern. Plain hosts have a page for the root of a module only.
    async fn seen<T>(&self, module: &ModulePath, answer: Result<T, DirectError>) -> Result<T, DirectError> {
        let words = match answer {
            Err(DirectError::Hidden { words, .. }) => words,
            answer => return answer,
        };
        for above in self.scope.above(module) {
            if self.is_readable(&above).await {
                return Err(DirectError::Absent(format!("{words}; {above} is a repository that this mirror can read")));
            }
        }
        let host = module.as_ref().split('/').next().unwrap_or_default().to_owned();
        Err(DirectError::Hidden { host, words })
    }

    async fn is_readable(&self, module: &ModulePath) -> bool {
        if let Some(known) = self.readable.get(module) {
            return known;
        }
        let readable = self.list(module).await.is_ok();
        self.readable.insert(module.clone(), readable);
        readable
    }

    async fn list(&self, module: &ModulePath) -> Result<Vec<u8>, DirectError> {
        let (go, wanted) = (Arc::clone(&self.go), module.clone());
        let flight = self.lists.join(module.clone(), || async move {
            // As a proxy: a client leaves retracted versions out by itself.
            let listed = listed(&go, &["list", "-m", "-json", "-versions", "-retracted", wanted.as_ref()]).await?;
            Ok(listed.versions.iter().flat_map(|version| format!("{version}\n").into_bytes()).collect())
        });
        flight.await.map_err(|broken| DirectError::host("run", &broken))?
    }

    async fn query(&self, module: &ModulePath, query: &str) -> Result<Vec<u8>, DirectError> {
        let listed = listed(&self.go, &["list", "-m", "-json", "-retracted", &format!("{module}@{query}")]).await?;
        let mut info = serde_json::json!({ "Version": listed.version });
        if let (Some(info), Some(time)) = (info.as_object_mut(), listed.time) {
            info.insert("Time".to_owned(), time.into());
        }
        Ok(info.to_string().into_bytes())
    }

    /// The files of a version; requests at the same time share one run.
    async fn fetch(&self, module: &ModuleVersion) -> Result<Arc<Fetched>, DirectError> {
        if let Some(fetched) = locked(&self.kept).get(module) {
            return Ok(Arc::clone(fetched));
        }
        let (go, kept, wanted) = (Arc::clone(&self.go), Arc::clone(&self.kept), module.clone());
        let flight = self.flights.join(module.clone(), || async move {
            let printed = go.run(&["mod", "download", "-json", &wanted.to_string()]).await?;
            let read = tokio::task::spawn_blocking(move || read(&printed));
            let fetched = Arc::new(read.await.map_err(|_| DirectError::host("read what was fetched", &Cancelled))??);
            let mut all = locked(&kept);
            if all.len() < MAX_KEPT {
                all.insert(wanted.clone(), Arc::clone(&fetched));
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    tokio::time::sleep(KEPT_FOR).await;
                    locked(&kept).remove(&wanted);
                });
            }
            Ok(fetched)
        });
        flight.await.map_err(|broken| DirectError::host("run", &broken))?
    }
}

async fn listed(go: &Settings, words: &[&str]) -> Result<Listed, DirectError> {
    let printed = go.run(words).await?;
    // The folder goes with it, and has a clone in it.
    let read = tokio::task::spawn_blocking(move || printed.json());
    read.await.map_err(|_| DirectError::host("read what go printed", &Cancelled))?
}

/// Opens what `go` downloaded, and removes the folder it lies in. Blocks.
fn read(printed: &Printed) -> Result<Fetched, DirectError> {
    let downloaded: Downloaded = printed.json()?;
    let failed = || printed.failed(&downloaded.error);
    let open = |path: &Path| {
        let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let file = file.map_err(|error| DirectError::host(&format!("open {}", path.display()), &error));
        file.map(|(length, file)| (Arc::new(file), length))
    };
    let (Some(info), Some(go_mod)) = (&downloaded.info, &downloaded.go_mod) else { return Err(failed()) };
    let length = fs::metadata(info).map_err(|error| DirectError::host("look at the .info", &error))?.len();
    if length > Kind::Info.max_len() as u64 {
        return Err(printed.failed(&format!("its .info has {length} bytes")));
    }
    let info = fs::read(info).map_err(|error| DirectError::host("read the .info", &error))?;
    let zip = downloaded.zip.as_deref().ok_or_else(failed).and_then(open);
    Ok(Fetched { info, go_mod: open(go_mod)?, zip })
}

/// What `go` can be asked for: it fetches modules alone.
fn asked(wanted: &Wanted) -> Result<&Request, UpstreamError> {
    match wanted {
        Wanted::Module(request) => Ok(request),
        Wanted::Database(_) => Err(nonsense("version control has no checksum database".to_owned())),
    }
}

fn nonsense(why: String) -> UpstreamError {
    UpstreamError::Nonsense { upstream: "direct".to_owned(), why }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
