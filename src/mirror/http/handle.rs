//! One request: route it, ask the right room, answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, Uri};

use super::body::Body;
use super::cors;
use super::respond::{self, BodyKind};
use super::response_cache::{KeptAnswer, MAX_ANSWER, ResponseCache};
use crate::base::client_text::for_client;
use crate::base::fault::Fault;
use crate::base::request_context::RequestContext;
use crate::base::text::{safe, safe_joined};
use crate::events::Facts;
use crate::mirror::error::MirrorError;
use crate::mirror::metadata::cache::Freshness;
use crate::mirror::pipeline::{Admitted, Pipeline};
use crate::mirror::route::{BasePath, Route, route};
use crate::mirror::stored::stored;
use crate::release::{Basis, Context, ReleaseError, Released, blocking};
use crate::sumdb::{Client, DatabaseId, LookupFailure};
use crate::telemetry::trace;
use crate::upstream::database_request::DatabaseRequest;
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

const WELCOME: &str =
    concat!("sumgate ", env!("CARGO_PKG_VERSION"), ": a Go module mirror that serves only proved files\n");

/// Proxies that follow proxy.golang.org send it to look whether a version is stored.
fn forbids_download(headers: &HeaderMap) -> bool {
    headers.get("disable-module-fetch").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Whether an answer names versions.
fn is_list(path: &str) -> bool {
    path.ends_with("/@v/list") || path.ends_with("/@latest")
}

/// What the event log says of a request, unless it is for a `.zip` or `.mod`, or for no module.
fn asked_for(route: &Route) -> Option<(Facts, &ModulePath)> {
    let (kind, version, module) = match route {
        Route::Module(Request::File(Artifact { module, kind: Kind::Info })) => {
            ("info", Some(&module.version), &module.path)
        }
        Route::Module(Request::List(module)) => ("list", None, module),
        Route::Module(Request::Latest(module)) => ("latest", None, module),
        Route::Module(Request::Query(module, _)) => ("query", None, module),
        Route::Database(_, DatabaseRequest::Lookup(module)) => ("lookup", Some(&module.version), &module.path),
        Route::Module(Request::File(_)) | Route::Database(..) | Route::Home => return None,
    };
    let version = version.map(ToString::to_string);
    let facts = Facts { module: Some(module.to_string()), version, kind: Some(kind.to_owned()), ..Facts::default() };
    Some((facts, module))
}

/// The stage of a request for this.
fn stage(route: &Route) -> &'static str {
    match route {
        Route::Module(Request::File(Artifact { kind: Kind::Mod | Kind::Zip, .. })) => "release",
        Route::Module(_) => "metadata",
        Route::Database(..) => "database",
        Route::Home => "home",
    }
}

pub(super) struct Handler {
    pub(super) pipeline: Pipeline,
    pub(super) base: BasePath,
    pub(super) cache: ResponseCache,
}

impl Handler {
    /// A text without the place of the data folder.
    pub(super) fn for_client(&self, text: &str) -> String {
        for_client(text, self.pipeline.context.store.root())
    }

    /// Answers a request; every error is an answer too.
    pub(super) async fn answer(&self, head: &Parts, request: &RequestContext) -> Response<Body> {
        let Parts { method, uri, headers, .. } = head;
        if matches!(*method, Method::GET | Method::HEAD) {
            let data = self.pipeline.context.store.root();
            let response = self.get(uri, headers, request).await.unwrap_or_else(|error| {
                // The client must not learn where the data folder is; the operator must.
                let (fault, cause) = (error.fault(), safe_joined(&crate::base::fault::in_full(&error)));
                if fault == Fault::Host {
                    tracing::error!(request = %request.id, "{cause}");
                } else if is_list(uri.path()) && !matches!(fault, Fault::Absent | Fault::NotServed | Fault::Request) {
                    // Trouble with a file is in the event log.
                    tracing::warn!(target: "events", path = safe(uri.path()), cause, request = %request.id, client = %request.client, "no list");
                }
                self.record(uri.path(), &error, request);
                respond::error(&error, data)
            });
            trace::note("sumgate.file", || self.public_name(uri.path(), &response));
            response
        } else if let Some(response) = self.preflight(method, uri, headers) {
            response
        } else {
            let mut response = respond::refusal(StatusCode::METHOD_NOT_ALLOWED, "expected the method GET or HEAD");
            response.headers_mut().insert(hyper::header::ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
    }

    /// What a path names, for others than the operator: nothing if the module is private.
    fn public_name(&self, path: &str, response: &Response<Body>) -> Option<String> {
        let code = response.headers().get(respond::REFUSED).and_then(|code| code.to_str().ok());
        // Whether it is private may be what could not be found out.
        if code.is_none() && response.status().is_server_error() {
            return None;
        }
        let context = &self.pipeline.context;
        let route = route(path, &self.base, &context.expectations.databases.names()).ok()?;
        let (name, module) = match &route {
            Route::Module(request) => (request.to_string(), request.module()),
            Route::Database(_, DatabaseRequest::Lookup(module)) => (module.to_string(), &module.path),
            Route::Database(..) | Route::Home => return None,
        };
        (!context.events.is_private(module, code)).then_some(name)
    }

    /// Whether pages of other origins may read what is at this path.
    fn is_public(&self, uri: &Uri) -> bool {
        let expectations = &self.pipeline.context.expectations;
        let route = route(uri.path(), &self.base, &expectations.databases.names());
        route.is_ok_and(|route| cors::is_public(&route, expectations))
    }

    fn preflight(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
        cors::preflight(headers).filter(|_| *method == Method::OPTIONS && self.is_public(uri))
    }

    /// Puts the refusal of an answer, or its failure, into the event log. That of a `.zip` or `.mod` is there already.
    fn record(&self, path: &str, error: &MirrorError, request: &RequestContext) {
        let context = &self.pipeline.context;
        if matches!(error.fault(), Fault::Absent | Fault::NotServed | Fault::Request) {
            return;
        }
        let Ok(route) = route(path, &self.base, &context.expectations.databases.names()) else { return };
        if let Some((facts, module)) = asked_for(&route) {
            context.events.not_answered(facts, module, error.why(), request);
        }
    }

    async fn get(&self, uri: &Uri, headers: &HeaderMap, asked: &RequestContext) -> Result<Response<Body>, MirrorError> {
        let databases = &self.pipeline.context.expectations.databases;
        let trusted = |id| Some(databases.at(id).trusted_size()?.get());
        let kept = self.cache.get(uri.path(), headers, trusted);
        let parsed;
        let route = if let Some(kept) = &kept {
            kept.route()
        } else {
            parsed = route(uri.path(), &self.base, &databases.names())?;
            &parsed
        };
        self.admit(route).await?;
        let is_public = cors::is_public(route, &self.pipeline.context.expectations);
        let response = match kept.as_ref().and_then(|kept| self.again(kept, headers, asked)) {
            Some(response) => response,
            None => trace::stage(stage(route), self.routed(uri.path(), route, headers, asked)).await?,
        };
        Ok(if is_public { cors::allow(response) } else { response })
    }

    /// The answer that was kept, unless it is a zip that is no longer the one on disk.
    fn again(&self, kept: &KeptAnswer, headers: &HeaderMap, asked: &RequestContext) -> Option<Response<Body>> {
        let response = match (kept.response(), kept.route()) {
            (Some(response), _) => response,
            (None, Route::Module(Request::File(zip))) => {
                let released = self.pipeline.released_again(zip)?;
                self.pipeline.context.events.stored(true);
                respond::file(headers, zip.kind, &released)
            }
            (None, _) => return None,
        };
        if let Some(facts) = kept.released() {
            self.pipeline.context.events.released_again(Arc::clone(facts), Some(asked));
        }
        Some(response)
    }

    /// The answer at a route.
    async fn routed(
        &self,
        path: &str,
        route: &Route,
        headers: &HeaderMap,
        asked: &RequestContext,
    ) -> Result<Response<Body>, MirrorError> {
        let to = (path, route);
        Ok(match route {
            Route::Home => respond::home(self.home().await?),
            Route::Module(request) if forbids_download(headers) => {
                match (stored(&self.pipeline, request).await?, request) {
                    (None, Request::File(artifact)) => self.file(to, headers, artifact, asked).await?,
                    (None, request) => return Err(MirrorError::NotStored(request.to_string())),
                    (Some(list), Request::List(_)) => respond::cached(BodyKind::Text, list),
                    (Some(info), _) => respond::cached(BodyKind::Resolved, info),
                }
            }
            Route::Module(Request::File(artifact)) if artifact.kind == Kind::Info => {
                let info = self.pipeline.infos.info(&artifact.module).await?;
                // The operator can forget a pin, and the .info with it. One that was made here is only a substitute.
                let pinned = self.pipeline.context.expectations.exempt.exempts(&artifact.module.path);
                match info.freshness {
                    Freshness::Fresh if pinned => respond::small(BodyKind::Info, info.body),
                    Freshness::Fresh => self.cache.keep(to, respond::small(BodyKind::Info, info.body), None),
                    _ => respond::cached(BodyKind::Resolved, info),
                }
            }
            Route::Module(Request::File(artifact)) => self.file(to, headers, artifact, asked).await?,
            Route::Module(Request::Query(path, query)) => {
                respond::cached(BodyKind::Resolved, self.pipeline.infos.query(path, query).await?)
            }
            Route::Module(Request::List(path)) => {
                respond::cached(BodyKind::Text, self.pipeline.lists.list(path).await?)
            }
            Route::Module(Request::Latest(path)) => {
                respond::cached(BodyKind::Resolved, self.pipeline.lists.latest(path).await?)
            }
            Route::Database(id, asked) => self.sumdb(to, *id, asked).await?,
        })
    }

    /// What must hold before a route is answered, also from the cache: every request comes here first. What decides by the client,
    /// and what is recorded of each request, belongs here too.
    async fn admit(&self, route: &Route) -> Result<(), MirrorError> {
        match route {
            // A file is refused where it is released, which is recorded (`Pipeline::release`). The policy refuses zips only; with one,
            // the cache has none.
            Route::Module(Request::File(Artifact { kind: Kind::Mod | Kind::Zip, .. })) | Route::Home => Ok(()),
            Route::Module(request) => self.pipeline.may_name(request.module()).await,
            Route::Database(_, DatabaseRequest::Lookup(module)) => self.pipeline.may_name(&module.path).await,
            Route::Database(..) => Ok(()),
        }
    }

    async fn file(
        &self,
        to: (&str, &Route),
        headers: &HeaderMap,
        artifact: &Artifact,
        asked: &RequestContext,
    ) -> Result<Response<Body>, MirrorError> {
        let Admitted { file: released, warnings, facts } = self.pipeline.release(artifact, Some(asked)).await?;
        let mut response = respond::file(headers, artifact.kind, &released);
        respond::warn(&mut response, &warnings);
        if artifact.kind == Kind::Mod {
            return self.go_mod(to, response, artifact, released, facts).await;
        }
        if self.pipeline.released_again(artifact).is_some() {
            self.cache.keep_zip(to, facts);
        }
        Ok(response)
    }

    async fn sumdb(
        &self,
        to: (&str, &Route),
        id: DatabaseId,
        asked: &DatabaseRequest,
    ) -> Result<Response<Body>, MirrorError> {
        let client = &self.pipeline.context.expectations.databases.at(id);
        Ok(match asked {
            DatabaseRequest::Supported => respond::small(BodyKind::Text, Bytes::new()),
            DatabaseRequest::Latest => {
                let head = client.head().await?;
                respond::small(BodyKind::Text, Bytes::copy_from_slice(head.note().as_bytes()))
            }
            DatabaseRequest::Lookup(module) => {
                let (reply, size) = self.lookup(id, module).await?;
                let response = respond::small(BodyKind::Text, Bytes::from(reply));
                self.cache.keep(to, response, Some((id, size)))
            }
            DatabaseRequest::Tile(tile) => {
                let bytes = client.tile(tile).await?;
                self.cache.keep(to, respond::small(BodyKind::Tile, bytes), None)
            }
        })
    }

    /// A small go.mod is sent from memory, once what was read is known to be what was hashed.
    async fn go_mod(
        &self,
        to: (&str, &Route),
        mut response: Response<Body>,
        artifact: &Artifact,
        released: Released,
        facts: Option<Arc<Facts>>,
    ) -> Result<Response<Body>, MirrorError> {
        let whole = response.status() == StatusCode::OK && released.identity().size() <= MAX_ANSWER as u64;
        // The operator can forget a pin.
        if !whole || matches!(released.basis(), Basis::Pinned(_)) {
            return Ok(response);
        }
        // If it changed, the open file must not be sent either.
        let artifact = artifact.clone();
        let failed = move |cause| ReleaseError::read(&artifact, cause);
        let go_mod = blocking(&Arc::new(released), move |released| released.go_mod().map_err(failed)).await?;
        *response.body_mut() = Body::Memory(go_mod);
        Ok(self.cache.keep_released(to, response, facts))
    }

    /// The record under the newest trusted head, so that all clients converge on one head.
    async fn lookup(&self, id: DatabaseId, module: &ModuleVersion) -> Result<(String, u64), MirrorError> {
        let expectations = &self.pipeline.context.expectations;
        if expectations.exempt.exempts(&module.path) {
            return Err(expectations.exempted(module).into());
        }
        let databases = &expectations.databases;
        let client = databases.at(id);
        let record = match databases.lookup(module, Some(id)).await {
            Err(LookupFailure::NoRecord(none)) => {
                self.pipeline.holds.wait_for_record(module, Some(id), &none).await?;
                client.lookup(module).await?
            }
            answer => answer?.0,
        };
        let mut head = client.head().await?;
        if head.size() < record.tree_size() {
            // Another process proved it, and stored the head under it.
            client.catch_up().await?;
            head = client.head().await?;
        }
        Ok((record.proven().format_reply(&head), head.size().get()))
    }

    async fn home(&self) -> Result<Bytes, MirrorError> {
        let evidence =
            |context: &Context| Ok(context.expectations.databases.iter().map(Client::fork).collect::<Vec<_>>());
        // It is a file.
        let forks = blocking(&self.pipeline.context, evidence).await?;
        let mut text = WELCOME.to_owned();
        for (client, fork) in self.pipeline.context.expectations.databases.iter().zip(forks) {
            let size = client.trusted().map_or_else(|| "none yet".to_owned(), |head| head.size().to_string());
            text.push_str(&format!("{}: trusted tree size {size}", client.database().name()));
            if let Some(evidence) = fork {
                text.push_str(&format!("; FORKED, nothing new is released, evidence in {}", evidence.display()));
            }
            text.push('\n');
        }
        if let Some(what) = self.pipeline.warning_only() {
            text.push_str(&format!("the policy only warns: {what}\n"));
        }
        Ok(Bytes::from(self.for_client(&text)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::sync::Arc;

    use super::*;
    use crate::base::clock::Clock;
    use crate::policy::InForce;
    use crate::release::{EventLog, Expectations};
    use crate::store::Store;
    use crate::sumdb::{Anchor, Database, Databases};
    use crate::telemetry::Metrics;
    use crate::upstream::{HttpClient, ProxyList, Router, Ttls, UpstreamPool};
    use gomodule::module::Patterns;

    /// The mirror of a world, with its files in `data`.
    fn handler(origin: &testkit::Origin, data: &std::path::Path, policies: InForce) -> Handler {
        let (store, http) = (Arc::new(Store::open(data).unwrap()), HttpClient::new().unwrap());
        let database = Database::parse(&origin.gosumdb()).unwrap();
        let client = Client::open(database, &store, &Anchor::None, &http, Clock::System).unwrap();
        let databases = Databases::new(vec![client]).unwrap();
        let upstreams = ProxyList::parse(&origin.url()).unwrap();
        let upstream = UpstreamPool::new(upstreams.upstreams(), &http, Ttls::default(), Clock::System).unwrap();
        let expectations = Expectations { databases, exempt: Patterns::default() };
        let router = Router::new(upstream, Vec::new());
        let pipeline = Pipeline::new(store, router, expectations, policies, EventLog::default(), Clock::System);
        let cache = ResponseCache::new(Clock::System, Metrics::default());
        Handler { pipeline, base: BasePath::default(), cache }
    }

    #[tokio::test]
    async fn with_a_policy_each_request_for_a_zip_is_judged() {
        let origin = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        let zip = Artifact { module: ModuleVersion::parse("example.com/hello@v1.0.0").unwrap(), kind: Kind::Zip };
        let policy = crate::policy::parse("[policy]\nmin-age = \"0d\"\n").unwrap();
        for (policies, is_kept) in [(InForce::default(), true), (Some(policy).into(), false)] {
            let folder = tempfile::tempdir().unwrap();
            let pipeline = handler(&origin, folder.path(), policies).pipeline;
            for _ in 0..2 {
                pipeline.release(&zip, None).await.unwrap();
            }
            assert_eq!(pipeline.released_again(&zip).is_some(), is_kept);
        }
    }

    #[tokio::test]
    async fn a_go_mod_that_changed_after_it_was_hashed_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        let origin = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        let handler = handler(&origin, folder.path(), InForce::default());
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let artifact = Artifact { module, kind: Kind::Mod };
        let released = handler.pipeline.release(&artifact, None).await.unwrap().file;
        let answered = async || {
            let response = respond::file(&HeaderMap::new(), Kind::Mod, &released);
            let route = Route::Module(Request::File(artifact.clone()));
            handler.go_mod(("/a", &route), response, &artifact, released.clone(), None).await
        };
        assert_eq!(answered().await.unwrap().status(), StatusCode::OK);
        let stored = folder.path().join("proxy").join(artifact.path());
        std::fs::write(stored, vec![b'x'; usize::try_from(released.identity().size()).unwrap()]).unwrap();
        let error = answered().await.unwrap_err();
        assert!(error.to_string().contains("it changed after it was hashed"), "{error}");
    }
}
