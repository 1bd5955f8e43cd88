//! A client without async functions, for one server of the operator that is told from a thread: the receiver of traces.

use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};

use super::dialer::{DialerError, builder};
use super::http::HttpError;
use super::roots::{Roots, none_named};
use super::times::Timeouts;

/// Verifies servers as all other clients do. It asks no proxy, follows no redirect, and gives up each request after this time.
pub(crate) fn blocking_client(timeout: Duration) -> Result<Client, HttpError> {
    let timeouts = Timeouts { connect: timeout, first_byte: timeout, stall: timeout, whole: timeout };
    // A blocking client counts its own time anew for each piece of an answer; the other one counts it for the whole.
    let with = |roots| ClientBuilder::from(builder(timeouts, roots)).timeout(timeout).build();
    let built = with(Roots::System).map_err(DialerError::from).or_else(|_| {
        none_named()?;
        Ok(with(Roots::BuiltIn)?)
    });
    built.map_err(|error: DialerError| HttpError::setup(&error))
}
