//! The page for browsers at `/`, and the same facts as JSON below `/-/api/v1/`.
//!
//! Nothing here fetches from an upstream. HTML is made by `maud`, which escapes every text; styles and script are files of their
//! own, so that the content security policy allows nothing inline. It works without the script.
//!
//! Private modules are shown only if the operator says so, and never to a request that a proxy passed on.

mod api;
mod asset;
mod audit;
mod audit_html;
mod client_places;
mod event_query;
mod event_stream;
mod events;
mod events_html;
mod growth;
mod headers;
mod layout;
mod module_html;
mod names;
mod overview_html;
mod picture;
mod same_origin;
mod search;
mod shown_event;
mod site;
mod view;

pub(crate) use event_query::same_query;
pub(crate) use search::read as search;
pub(crate) use site::pages;
