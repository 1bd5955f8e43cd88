//! What upstreams say and no hash covers: read, checked, cached, and written anew. Nothing is filtered here.

pub(super) mod answer;
pub(super) mod cache;
pub(super) mod client_text;
pub(super) mod info;
pub(super) mod raw;
pub(super) mod versions;

pub(crate) use answer::answer;
pub(crate) use info::Info;
pub(crate) use versions::versions_of;
