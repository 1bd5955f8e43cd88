//! The one place where a fault becomes an HTTP status.
//!
//! With a `,` in GOPROXY the `go` command moves on after 404 and 410 only. So 404 means absent, by the rules of
//! `mirror/absence`, or that the request is for nothing that is served here; a refusal answered with 404 would let `,direct`
//! walk round the mirror.

use hyper::StatusCode;

use crate::base::fault::Fault;

/// The status for a fault.
pub(super) fn status(fault: Fault) -> StatusCode {
    match fault {
        Fault::Request => StatusCode::BAD_REQUEST,
        Fault::Absent | Fault::NotServed => StatusCode::NOT_FOUND,
        Fault::Refused => StatusCode::FORBIDDEN,
        Fault::Upstream => StatusCode::BAD_GATEWAY,
        Fault::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Fault::Misbehaviour => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Host => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
