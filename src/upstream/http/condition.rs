//! The condition of a request, and the statuses that meet it.

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderValue};

/// The condition of a request.
#[derive(Clone, Debug)]
pub(in crate::upstream) enum Condition {
    None,
    /// Only if the entity tag differs from this one (RFC 9110 section 13.1.2). The answer may be 304.
    Unless(String),
    /// From this byte on, if the entity tag is still this one (sections 13.1.5 and 14.2). The answer may be 206.
    From(u64, String),
}

impl Condition {
    pub(super) fn headers(&self) -> HeaderMap {
        let headers = match self {
            Self::None => vec![],
            Self::Unless(tag) => vec![(header::IF_NONE_MATCH, tag.clone())],
            Self::From(first, tag) => vec![(header::RANGE, format!("bytes={first}-")), (header::IF_RANGE, tag.clone())],
        };
        // The tags came from a header, so they are valid in one.
        headers.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
    }

    pub(super) fn met(&self, status: StatusCode) -> bool {
        matches!((self, status.as_u16()), (_, 200) | (Self::Unless(_), 304) | (Self::From(..), 206))
    }
}
