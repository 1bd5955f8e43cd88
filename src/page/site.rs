//! Answers the requests for the page and the API.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::asset::asset;
use super::audit::{AuditError, Audited, MAX_GO_SUM, audit};
use super::client_places::{Full, Place, Places};
use super::events::Events;
use super::headers::{html, not_allowed, see};
use super::names::Names;
use super::same_origin::{is_followed_here, is_own};
use super::search::{Wanted, read};
use super::view::{View, field};
use super::{api, audit_html, layout, module_html, overview_html};
use crate::events::Feed;
use crate::mirror::{BodyError, Look, NotShown, Overview, OwnBody, OwnPages, OwnRequest, Pipeline, go_env_line};
use crate::sumdb::DatabaseId;
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// Audits at a time. Each holds a go.sum in memory, and lookups that clients need too.
const MAX_AUDITS: usize = 2;
/// Bodies at a time that are received, or wait for their turn: 48 MB of forms.
const MAX_BODIES: usize = 16;
/// Of one client: a quarter.
const MAX_BODIES_OF_ONE: usize = MAX_BODIES / 4;
/// How long an audit waits for its turn.
const AUDIT_WAIT: Duration = Duration::from_secs(10);
/// A form in which every character of a go.sum is percent-encoded.
const MAX_FORM: usize = 3 * MAX_GO_SUM;

/// Answers for a mirror. `show_private` lets the users of this machine see private modules. Ends the streams of `feed` that earlier
/// pages sent.
pub(crate) fn pages(pipeline: Pipeline, feed: Feed, show_private: bool) -> OwnPages {
    let (audits, bodies) = (Arc::new(Semaphore::new(MAX_AUDITS)), Places::new(MAX_BODIES, MAX_BODIES_OF_ONE));
    let names = Arc::new(Names::new(pipeline.clone()));
    let events = Events::new(pipeline.clone(), Arc::clone(&names), feed);
    let site = Arc::new(Site { pipeline, show_private, names, events, audits, bodies });
    OwnPages::new(move |request| {
        let site = Arc::clone(&site);
        Box::pin(async move { site.answer(request).await })
    })
}

struct Site {
    pipeline: Pipeline,
    show_private: bool,
    names: Arc<Names>,
    events: Events,
    audits: Arc<Semaphore>,
    bodies: Arc<Places>,
}

/// What a search found.
enum Sought {
    Version(Box<Look>),
    Versions(String, Vec<(ModulePath, Vec<Version>)>),
    /// A page of another origin asks for a version of which nothing is stored: the user decides about a lookup.
    Foreign(ModuleVersion),
}

/// Why a page of another origin gets no lookup.
const FOREIGN: &str =
    "a page of another origin asks for a version of which nothing is stored here: nothing was looked up";

/// Why there is no answer, and the status.
struct Refused(StatusCode, String);

impl From<NotShown> for Refused {
    fn from(error: NotShown) -> Self {
        Self(StatusCode::FORBIDDEN, error.to_string())
    }
}

impl Site {
    async fn answer(&self, request: OwnRequest) -> Response<OwnBody> {
        let view = View::of(&request, self.show_private);
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        if is_read && request.path == "/-/api/v1/events/stream" {
            return self.events.stream(&view, &request);
        }
        self.whole(view, request, is_read).await.map(OwnBody::Whole)
    }

    async fn whole(&self, view: View, request: OwnRequest, is_read: bool) -> Response<Bytes> {
        let is_post = request.method == Method::POST;
        let path = request.path.clone();
        match path.as_str() {
            "/-/audit" if is_post => self.audit_page(&view, request).await,
            "/-/api/v1/audit" if is_post => self.audit_api(request).await,
            "/-/api/v1/audit" => not_allowed(api::error(StatusCode::METHOD_NOT_ALLOWED, "expected POST"), "POST"),
            "/-/audit" if !is_read => not_allowed(Self::missing(&view, &path), "GET, HEAD, POST"),
            _ if !is_read => not_allowed(Self::missing(&view, &path), "GET, HEAD"),
            "/-/" => see(&view.link("/")),
            "/" => {
                let overview = self.overview(&view);
                html(StatusCode::OK, overview_html::overview(&view, &overview, &self.go_env(&view, &overview)))
            }
            "/-/events" => self.events.page(&view, &request.query).await,
            "/-/api/v1/events" => self.events.api(&view, &request.query).await,
            "/-/module" => self.module_page(&view, &request).await,
            "/-/audit" => html(StatusCode::OK, audit_html::form(&view, self.overview(&view).is_offline, None)),
            "/-/api/v1/overview" => {
                let overview = self.overview(&view);
                api::found(&api::overview(&overview, &self.go_env(&view, &overview)))
            }
            "/-/api/v1/module" => self.module_api(&view, &request).await,
            "/-/api/v1/openapi.json" => api::description(),
            _ => asset(&path).unwrap_or_else(|| Self::missing(&view, &path)),
        }
    }

    fn overview(&self, view: &View) -> Overview {
        Overview::of(&self.pipeline, view.with_private)
    }

    fn go_env(&self, view: &View, overview: &Overview) -> String {
        let database = self.pipeline.expectations().databases.at(DatabaseId::FIRST).database();
        go_env_line(&view.url, database, &overview.exempt)
    }

    fn missing(view: &View, path: &str) -> Response<Bytes> {
        let status = StatusCode::NOT_FOUND;
        if path.starts_with("/-/api/") {
            return api::error(status, "expected a path of /-/api/v1/openapi.json");
        }
        html(status, layout::message(view, "Not found", "", "There is no such page here."))
    }

    async fn module_page(&self, view: &View, request: &OwnRequest) -> Response<Bytes> {
        let text = field(request.query.as_bytes(), "q").unwrap_or_default();
        if text.trim().is_empty() {
            return see(&view.link("/"));
        }
        match self.sought(view, &text, is_followed_here(&request.headers, request.host())).await {
            Ok(Sought::Version(look)) => html(StatusCode::OK, module_html::module(view, &look)),
            Ok(Sought::Versions(path, found)) => html(StatusCode::OK, module_html::versions(view, &path, &found)),
            Ok(Sought::Foreign(module)) => html(StatusCode::OK, module_html::not_looked_up(view, &module)),
            Err(Refused(status, why)) => html(status, layout::message(view, "Not shown", &text, &why)),
        }
    }

    async fn module_api(&self, view: &View, request: &OwnRequest) -> Response<Bytes> {
        let text = field(request.query.as_bytes(), "q").unwrap_or_default();
        match self.sought(view, &text, is_followed_here(&request.headers, request.host())).await {
            Ok(Sought::Version(look)) => api::found(&api::module(&look)),
            Ok(Sought::Versions(path, found)) => api::found(&api::versions(&path, &found)),
            Ok(Sought::Foreign(_)) => api::error(StatusCode::FORBIDDEN, FOREIGN),
            Err(Refused(status, why)) => api::error(status, &why),
        }
    }

    /// What a text asks for. Of a version whose module is stored in another case, or above, that one. A page of another origin causes no
    /// lookup of a version that is not stored.
    async fn sought(&self, view: &View, text: &str, is_from_here: bool) -> Result<Sought, Refused> {
        let wanted = read(text).map_err(|why| Refused(StatusCode::BAD_REQUEST, why))?;
        let module = match wanted {
            Wanted::Path(path) => {
                let found = Look::versions(&self.pipeline, &path, view.with_private).await.map_err(unreadable)?;
                return Ok(Sought::Versions(path, found));
            }
            Wanted::Version(module) => module,
        };
        // A search forgives case, so a private name must not be sent in another one either.
        if !view.with_private && self.names.is_exempt_in_any_case(&module.path) {
            return Err(NotShown.into());
        }
        let stored =
            Look::versions(&self.pipeline, module.path.as_ref(), view.with_private).await.map_err(unreadable)?;
        let is_known = stored.iter().any(|(path, _)| *path == module.path);
        let other = stored.into_iter().rev().find(|(_, versions)| versions.contains(&module.version));
        if other.is_none() && !is_from_here {
            return Ok(Sought::Foreign(module));
        }
        let other =
            other.filter(|_| !is_known).and_then(|(path, _)| ModuleVersion::new(path, module.version.clone()).ok());
        let look = Look::at(&self.pipeline, &other.unwrap_or(module), view.with_private).await?;
        Ok(Sought::Version(Box::new(look)))
    }

    async fn audit_page(&self, view: &View, request: OwnRequest) -> Response<Bytes> {
        let (view, is_offline, audited) =
            (view.clone(), self.overview(view).is_offline, self.audited_form(request).await);
        off_the_async_threads(move || {
            let form = |status, result| html(status, audit_html::form(&view, is_offline, Some(result)));
            match &audited {
                Ok(audited) => form(StatusCode::OK, Ok(audited)),
                Err(Refused(status, why)) => form(*status, Err(why.as_str())),
            }
        })
        .await
    }

    async fn audited_form(&self, request: OwnRequest) -> Result<Audited, Refused> {
        expect_type(&request, "application/x-www-form-urlencoded")?;
        let (body, _place) = self.body(request, MAX_FORM).await?;
        let text = spawn_blocking(move || field(&body, "go_sum").filter(|text| !text.trim().is_empty())).await;
        let text = text.map_err(|error| unreadable(error.to_string()))?;
        let text =
            text.ok_or_else(|| Refused(StatusCode::BAD_REQUEST, "expected the content of a go.sum".to_owned()))?;
        self.audited(text.into()).await
    }

    async fn audit_api(&self, request: OwnRequest) -> Response<Bytes> {
        match self.audited_text(request).await {
            Ok(audited) => off_the_async_threads(move || api::report(&audited)).await,
            Err(Refused(status, why)) => api::error(status, &why),
        }
    }

    async fn audited_text(&self, request: OwnRequest) -> Result<Audited, Refused> {
        expect_type(&request, "text/plain")?;
        let (body, _place) = self.body(request, MAX_GO_SUM).await?;
        self.audited(body).await
    }

    async fn audited(&self, text: Bytes) -> Result<Audited, Refused> {
        let too_large = |why: String| Refused(StatusCode::PAYLOAD_TOO_LARGE, why);
        if text.len() > MAX_GO_SUM {
            return Err(too_large(BodyError::TooLong(MAX_GO_SUM).to_string()));
        }
        let turn = tokio::time::timeout(AUDIT_WAIT, Arc::clone(&self.audits).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        audit(&self.pipeline, text, turn).await.map_err(|error| match error {
            AuditError::TooMany(_) => too_large(error.to_string()),
            AuditError::TooLong => Refused(StatusCode::GATEWAY_TIMEOUT, error.to_string()),
            AuditError::Cancelled(_) => Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        })
    }

    /// The body of a request of our own page or of a program, and its place among those that are in memory.
    async fn body(&self, request: OwnRequest, max: usize) -> Result<(Bytes, Place), Refused> {
        if !is_own(&request.headers, request.host()) {
            let why =
                "the form was sent by a page of another origin: open the page of this mirror and send it from there";
            return Err(Refused(StatusCode::FORBIDDEN, why.to_owned()));
        }
        let place = self.bodies.take(request.client).map_err(|full| match full {
            Full::All => busy(),
            Full::Own => unfinished(),
        })?;
        Ok((request.body(max).await?, place))
    }
}

/// Makes an answer that may be as long as a go.sum.
async fn off_the_async_threads(make: impl FnOnce() -> Response<Bytes> + Send + 'static) -> Response<Bytes> {
    let answer = spawn_blocking(make).await;
    answer.unwrap_or_else(|error| api::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
}

fn busy() -> Refused {
    Refused(StatusCode::SERVICE_UNAVAILABLE, "other audits are under way: try again later".to_owned())
}

fn unfinished() -> Refused {
    let why = format!(
        "{MAX_BODIES_OF_ONE} audits from this address are unfinished: wait until one of them has ended, or audit in a terminal: \
         sumgate audit. If a proxy is in front of this mirror, name it with serve --trusted-proxy: its clients are then counted one by one"
    );
    Refused(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn unreadable(why: String) -> Refused {
    Refused(StatusCode::INTERNAL_SERVER_ERROR, why)
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Unreadable(_) => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

fn expect_type(request: &OwnRequest, expected: &str) -> Result<(), Refused> {
    let found = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_it = found.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(expected));
    let why =
        || Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected a body of type {expected}, found {found:?}"));
    is_it.then_some(()).ok_or_else(why)
}
