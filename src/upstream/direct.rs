//! `direct`: modules from version control, by the `go` command with git.
//!
//! `go mod download -json M@V` (<https://go.dev/ref/mod#go-mod-download>) makes the `.info`, `.mod` and `.zip` of a version,
//! `go list -m -json` (<https://go.dev/ref/mod#go-list-m>) answers lists and queries. The result is trusted no more than that
//! of a proxy: the zip goes through the same pipeline. One run makes all three files of a version; they are cached briefly,
//! because a client that asks for one of them asks for the next.

pub(super) mod command;
pub(super) mod error;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use self::command::{DirectSettings, GoCommand, GoRun};
use self::error::DirectError;
use super::error::UpstreamError;
use super::prefixes::Prefixes;
use super::recent::Recent;
use super::scope::Scope;
use super::sink::{DownloadSink, Part};
use super::wanted::Wanted;
use crate::base::clock::Clock;
use crate::base::flight::{Cancelled, Flights};
use crate::base::lock::lock;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// How long the files of a version are cached: `go` asks for the next one within two seconds, and a moved tag should be seen
/// soon.
const CACHED_FOR: Duration = Duration::from_secs(10);
/// Versions whose files are cached at the same time; with the largest zips 4 GB. More are not cached.
const MAX_CACHED: usize = 8;
/// Cached answers to whether a path is a readable repository: about 150 bytes each.
const MAX_READABLE: u64 = 1000;

pub(super) struct Direct {
    go: Arc<GoCommand>,
    scope: Scope,
    flights: Flights<ModuleVersion, Result<Arc<Fetched>, DirectError>>,
    cached: Arc<Mutex<HashMap<ModuleVersion, Arc<Fetched>>>>,
    lists: Flights<ModulePath, Result<Vec<u8>, DirectError>>,
    /// Whether a path is a readable repository, cached because `go get` asks for every prefix.
    readable: Recent<ModulePath, bool>,
    prefixes: Prefixes,
}

/// The open files of a version; their folder is removed already.
#[derive(Debug)]
struct Fetched {
    info: Vec<u8>,
    go_mod: OpenFile,
    /// There is no zip if the go.mod requires a newer `go`.
    zip: Result<OpenFile, DirectError>,
}

type OpenFile = (Arc<File>, u64);

/// The output of `go mod download -json`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Downloaded {
    error: String,
    info: Option<PathBuf>,
    go_mod: Option<PathBuf>,
    zip: Option<PathBuf>,
}

/// The output of `go list -m -json`.
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
    pub(super) fn new(settings: &DirectSettings, scope: Scope, clock: Clock) -> Self {
        let go = Arc::new(GoCommand::new(settings.clone()));
        let readable = Recent::new(MAX_READABLE, CACHED_FOR, clock);
        let prefixes = Prefixes::new(scope.clone(), clock);
        let (flights, lists) = (Flights::default(), Flights::default());
        Self { go, scope, flights, cached: Arc::default(), lists, readable, prefixes }
    }

    pub(super) async fn small(&self, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let request = module_request(wanted)?;
        self.prefixes.asked(request.module());
        let body = match request {
            Request::List(module) => self.checked(module, self.list(module).await).await?,
            Request::Latest(module) => self.checked(module, self.query(module, "latest").await).await?,
            Request::Query(module, query) => self.checked(module, self.query(module, query.as_ref()).await).await?,
            Request::File(Artifact { module, kind: Kind::Info }) => {
                self.checked(&module.path, self.fetch(module).await).await?.info.clone()
            }
            Request::File(_) => return Err(UpstreamError::NotFound(wanted.to_string())),
        };
        if body.len() > wanted.max_len() {
            return Err(invalid(format!("the answer to {wanted} has more than {} bytes", wanted.max_len())));
        }
        Ok(body)
    }

    pub(super) async fn download(&self, wanted: &Wanted, sink: &DownloadSink) -> Result<(), UpstreamError> {
        let Request::File(Artifact { module, kind: kind @ (Kind::Mod | Kind::Zip) }) = module_request(wanted)? else {
            return Err(UpstreamError::NotFound(wanted.to_string()));
        };
        let fetched = self.checked(&module.path, self.fetch(module).await).await?;
        let (file, length) = match kind {
            Kind::Zip => fetched.zip.as_ref().map_err(DirectError::clone)?,
            _ => &fetched.go_mod,
        };
        let limit = kind.max_len() as u64;
        if *length > limit {
            return Err(invalid(format!("{wanted} has more than {limit} bytes")));
        }
        sink.send(Part::File(Arc::clone(file))).await?;
        if *kind == Kind::Zip {
            // The last file that a client asks for.
            lock(&self.cached).remove(module);
        }
        Ok(())
    }

    /// Turns the answer of a host that shows no repository into absence, if a shorter path in scope is a readable repository:
    /// then the login works. Some hosts name a repository only for the root of a module. The same if a longer path is one, and
    /// then also if the host cannot be reached: a path that ends in `.git` needs no page.
    async fn checked<T>(&self, module: &ModulePath, answer: Result<T, DirectError>) -> Result<T, DirectError> {
        let error = match answer {
            Err(error) => error,
            answer => return answer,
        };
        let (mut near, message) = match &error {
            DirectError::Hidden { message, .. } | DirectError::NoPage { answered: true, message, .. } => {
                (self.scope.above(module).collect(), message)
            }
            DirectError::NoPage { message, .. } => (Vec::new(), message),
            _ => return Err(error),
        };
        near.extend(self.prefixes.below(module));
        for near in near {
            if self.is_readable(&near).await {
                return Err(DirectError::Absent(format!(
                    "{message}; {near} is a repository that this mirror can read"
                )));
            }
        }
        Err(error.of_the_host_of(module))
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
            // With retracted versions, like a proxy: the client excludes them.
            let listed = listed(&go, &["list", "-m", "-json", "-versions", "-retracted", wanted.as_ref()]).await?;
            Ok(listed.versions.iter().flat_map(|version| format!("{version}\n").into_bytes()).collect())
        });
        flight.await.map_err(|cancelled| DirectError::host("run", &cancelled))?
    }

    async fn query(&self, module: &ModulePath, query: &str) -> Result<Vec<u8>, DirectError> {
        if query.starts_with('-') {
            // git would read it as an option. It makes no branches and tags of such names.
            let message = "a query must not start with '-'".to_owned();
            return Err(DirectError::Failed { what: format!("go list -m {module}@{query}"), message });
        }
        let listed = listed(&self.go, &["list", "-m", "-json", "-retracted", &format!("{module}@{query}")]).await?;
        let mut info = serde_json::json!({ "Version": listed.version });
        if let (Some(info), Some(time)) = (info.as_object_mut(), listed.time) {
            info.insert("Time".to_owned(), time.into());
        }
        Ok(info.to_string().into_bytes())
    }

    /// The files of a version; concurrent requests share one run.
    async fn fetch(&self, module: &ModuleVersion) -> Result<Arc<Fetched>, DirectError> {
        if let Some(fetched) = lock(&self.cached).get(module) {
            return Ok(Arc::clone(fetched));
        }
        let (go, cached, wanted) = (Arc::clone(&self.go), Arc::clone(&self.cached), module.clone());
        let flight = self.flights.join(module.clone(), || async move {
            let run = go.run(&["mod", "download", "-json", &wanted.to_string()]).await?;
            let read = tokio::task::spawn_blocking(move || read(&run));
            let fetched = Arc::new(read.await.map_err(|_| DirectError::host("read the download", &Cancelled))??);
            let mut all = lock(&cached);
            if all.len() < MAX_CACHED {
                all.insert(wanted.clone(), Arc::clone(&fetched));
                let cached = Arc::clone(&cached);
                // A timer, so that large zips are freed without another request.
                tokio::spawn(async move {
                    tokio::time::sleep(CACHED_FOR).await;
                    lock(&cached).remove(&wanted);
                });
            }
            Ok(fetched)
        });
        flight.await.map_err(|cancelled| DirectError::host("run", &cancelled))?
    }
}

async fn listed(go: &GoCommand, arguments: &[&str]) -> Result<Listed, DirectError> {
    let run = go.run(arguments).await?;
    // Removes the folder with the clone too, which blocks.
    let read = tokio::task::spawn_blocking(move || run.json());
    read.await.map_err(|_| DirectError::host("read the output of go", &Cancelled))?
}

/// Opens the files that `go` downloaded. Blocks.
fn read(run: &GoRun) -> Result<Fetched, DirectError> {
    let downloaded: Downloaded = run.json()?;
    let failed = || run.failed(&downloaded.error);
    let open = |path: &Path| {
        let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let file = file.map_err(|error| DirectError::host(&format!("open {}", path.display()), &error));
        file.map(|(length, file)| (Arc::new(file), length))
    };
    let (Some(info), Some(go_mod)) = (&downloaded.info, &downloaded.go_mod) else { return Err(failed()) };
    let length = fs::metadata(info).map_err(|error| DirectError::host("look at the .info", &error))?.len();
    if length > Kind::Info.max_len() as u64 {
        return Err(run.failed(&format!("the .info has {length} bytes, expected at most {}", Kind::Info.max_len())));
    }
    let info = fs::read(info).map_err(|error| DirectError::host("read the .info", &error))?;
    let zip = downloaded.zip.as_deref().ok_or_else(failed).and_then(open);
    Ok(Fetched { info, go_mod: open(go_mod)?, zip })
}

fn module_request(wanted: &Wanted) -> Result<&Request, UpstreamError> {
    match wanted {
        Wanted::Module(request) => Ok(request),
        Wanted::Database(_) => Err(invalid("version control has no checksum database".to_owned())),
    }
}

fn invalid(why: String) -> UpstreamError {
    UpstreamError::invalid("direct", why)
}
