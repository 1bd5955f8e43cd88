//! The CA certificates with which servers are verified.

use std::ffi::OsString;

use reqwest::{Certificate, ClientBuilder};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// The variables that name other certificates than those of the system.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where the CA certificates are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// This machine, or `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    System,
    /// This program, because the machine has none.
    BuiltIn,
    /// Nowhere: no server is verified, so each request over TLS fails.
    Nowhere,
}

/// The variable that should name certificates has none. Other roots instead would trust more than the user wants.
#[derive(Debug, thiserror::Error)]
#[error("{variable} names {value:?}, which has no CA certificate: correct it, or unset it")]
pub(super) struct NoCertificates {
    variable: &'static str,
    value: OsString,
}

impl Roots {
    pub(super) fn add_to(self, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::System => builder,
            Self::BuiltIn => {
                let roots = TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| Certificate::from_der(root).ok());
                builder.tls_certs_only(roots)
            }
            Self::Nowhere => builder.tls_certs_only([]),
        }
    }
}

/// Whether the variables leave it to the system where certificates are.
pub(super) fn none_named() -> Result<(), NoCertificates> {
    let named = VARIABLES.iter().find_map(|variable| Some((*variable, std::env::var_os(variable)?)));
    named.map_or(Ok(()), |(variable, value)| Err(NoCertificates { variable, value }))
}
