//! `direct`: modules from version control, by the `go` command with git.
//!
//! `go mod download -json M@V` (<https://go.dev/ref/mod#go-mod-download>) makes the `.info`, `.mod` and `.zip` of a version,
//! `go list -m -json` (<https://go.dev/ref/mod#go-list-m>) answers lists and queries. The result is trusted no more than that
//! of a proxy: the zip goes through the same pipeline. One run makes all three files of a version; they are kept until they are
//! taken, because a client that asks for one of them asks for the next.

pub(super) mod advice;
mod clones;
mod command;
pub(super) mod environment;
pub(super) mod error;
mod kept;
mod listing;
pub(super) mod settings;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use self::advice::Advice;
use self::command::{GoCommand, GoRun, Job, ReadFrom};
use self::error::DirectError;
use self::kept::{Fetched, Kept, Served, Stamp};
use self::listing::{Listed, Listings};
use self::settings::DirectSettings;
use super::error::UpstreamError;
use super::prefixes::Prefixes;
use super::scope::Scope;
use super::sink::{DownloadSink, Part};
use super::wanted::Wanted;
use crate::base::clock::Clock;
use crate::base::flight::{Cancelled, Flights};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

pub(super) struct Direct {
    go: Arc<GoCommand>,
    scope: Scope,
    flights: Flights<(ModuleVersion, Stamp), Result<Arc<Fetched>, DirectError>>,
    kept: Kept,
    listings: Listings,
    prefixes: Prefixes,
}

/// The output of `go mod download -json`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Downloaded {
    error: String,
    info: Option<PathBuf>,
    go_mod: Option<PathBuf>,
    zip: Option<PathBuf>,
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("direct")
    }
}

impl Direct {
    pub(super) fn new(settings: &DirectSettings, scope: Scope, clock: Clock) -> Self {
        let go = Arc::new(GoCommand::new(settings.clone(), clock));
        let prefixes = Prefixes::new(scope.clone(), clock);
        let listings = Listings::new(Arc::clone(&go), clock);
        Self { go, scope, flights: Flights::default(), kept: Kept::default(), listings, prefixes }
    }

    pub(super) async fn small(&self, wanted: &Wanted) -> Result<Vec<u8>, UpstreamError> {
        let request = module_request(wanted)?;
        self.prefixes.asked(request.module());
        let body = match request {
            Request::List(module) => self.checked(module, self.list(module).await).await?,
            Request::Latest(module) => self.checked(module, self.latest(module).await).await?,
            Request::Query(module, query) => self.checked(module, self.query(module, query.as_ref()).await).await?,
            Request::File(Artifact { module, kind: Kind::Info }) => {
                let fetched = self.checked(&module.path, self.fetch(module, Kind::Info).await).await?;
                self.kept.taken(&fetched, Kind::Info);
                fetched.info.clone()
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
        let fetched = self.checked(&module.path, self.fetch(module, *kind).await).await?;
        let (file, length) = match kind {
            Kind::Zip => fetched.zip.as_ref().map_err(|error| error.clone().of_the_host_of(&module.path))?,
            _ => &fetched.go_mod,
        };
        let limit = kind.max_len() as u64;
        if *length > limit {
            return Err(invalid(format!("{wanted} has more than {limit} bytes")));
        }
        sink.send(Part::File(Arc::clone(file))).await?;
        self.kept.taken(&fetched, *kind);
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
            _ => return Err(error.of_the_host_of(module)),
        };
        near.extend(self.prefixes.below(module));
        for near in near {
            if self.listings.is_readable(&near).await {
                return Err(DirectError::Absent(format!(
                    "{message}; {near} is a repository that this mirror can read"
                )));
            }
        }
        Err(error.of_the_host_of(module))
    }

    async fn list(&self, module: &ModulePath) -> Result<Vec<u8>, DirectError> {
        let listed = self.listings.list(module).await?;
        Ok(listed.versions.iter().flat_map(|version| format!("{version}\n").into_bytes()).collect())
    }

    async fn latest(&self, module: &ModulePath) -> Result<Vec<u8>, DirectError> {
        let listed = self.listings.latest(module).await?;
        Ok(info(&listed))
    }

    async fn query(&self, module: &ModulePath, query: &str) -> Result<Vec<u8>, DirectError> {
        if query.starts_with('-') {
            // git would read it as an option. It makes no branches and tags of such names.
            let message = "a query must not start with '-'".to_owned();
            let (what, advice) = (format!("go list -m {module}@{query}"), Box::new(Advice::nothing()));
            return Err(DirectError::Failed { what, message, advice });
        }
        if let Some(listed) = self.listings.query(module, query).await? {
            return Ok(info(&listed));
        }
        let arguments = ["list", "-m", "-json", "-retracted", &format!("{module}@{query}")];
        let job = Job { arguments: &arguments, modules: std::slice::from_ref(module), from: ReadFrom::HostAndClones };
        let run = self.go.run(&job, || ()).await?;
        // Removes the folder with the clone too, which blocks.
        let read = tokio::task::spawn_blocking(move || run.json::<Listed>());
        Ok(info(&read.await.map_err(|_| DirectError::host("read the output of go", &Cancelled))??))
    }

    /// The files of a version, of which the caller takes one; concurrent requests share one run. It goes on without them: a
    /// client that is cut off after a minute would never get a large repository.
    async fn fetch(&self, module: &ModuleVersion, kind: Kind) -> Result<Arc<Fetched>, DirectError> {
        let stamp = self.go.stamp();
        if let Some(fetched) = self.kept.get(module, kind, &stamp) {
            return Ok(fetched);
        }
        let key = (module.clone(), stamp.clone());
        let (go, kept, flights, wanted) = (Arc::clone(&self.go), self.kept.clone(), self.flights.clone(), key.clone());
        let listings = self.listings.clone();
        let flight = self.flights.join(key, || async move {
            let asked = match kind {
                Kind::Info => listings.query(&wanted.0.path, wanted.0.version.as_ref()).await,
                Kind::Mod | Kind::Zip => Ok(None),
            };
            if let Err(error) = asked
                // Its `.info` and `.mod` are there nevertheless.
                && !matches!(error, DirectError::OldGo(_))
            {
                return Err(error);
            }
            let has_read = listings.has_read(&wanted.0, &stamp);
            let arguments = ["mod", "download", "-json", &wanted.0.to_string()];
            let modules = std::slice::from_ref(&wanted.0.path);
            let from = if has_read { ReadFrom::Clones } else { ReadFrom::HostAndClones };
            let job = Job { arguments: &arguments, modules, from };
            let run = go.run(&job, || flights.keep(&wanted)).await?;
            let read = tokio::task::spawn_blocking(move || read(&run, stamp));
            let fetched = Arc::new(read.await.map_err(|_| DirectError::host("read the download", &Cancelled))??);
            kept.insert(&wanted.0, &fetched);
            Ok(fetched)
        });
        flight.await.map_err(|cancelled| DirectError::host("run", &cancelled))?
    }
}

/// The body of an answer to a query.
fn info(listed: &Listed) -> Vec<u8> {
    let mut info = serde_json::json!({ "Version": listed.version });
    if let (Some(info), Some(time)) = (info.as_object_mut(), &listed.time) {
        info.insert("Time".to_owned(), time.clone().into());
    }
    info.to_string().into_bytes()
}

/// Opens the files that `go` downloaded. Blocks.
fn read(run: &GoRun, stamp: Stamp) -> Result<Fetched, DirectError> {
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
    Ok(Fetched { info, go_mod: open(go_mod)?, zip, stamp, served: Served::default() })
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
