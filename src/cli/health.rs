//! `sumgate health`: whether a mirror answers, for an image without a shell.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use url::Url;

use super::args::{HealthArgs, ListenArgs};
use super::config;
use super::exit::{Exit, Failure};
use super::runtime::Runtime;
use super::serve_file::ConfigFile;
use super::{out, progress};
use crate::base::fault::{Fault, in_full};
use crate::mirror::{BasePath, HEALTH_PATH, HEALTHY, ListenAddress};
use crate::upstream::{HttpClient, Timeouts};

/// Below the 30 seconds after which container engines give up, and above a pause of a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// What is read of an answer.
const MAX_ANSWER: usize = 1 << 10;

pub(super) fn run(args: &HealthArgs, file: Result<ConfigFile, Failure>) -> Result<Exit, Failure> {
    // Its defaults are in the arguments.
    file?;
    let (mirror, http) = match &args.url {
        Some(url) => (config::mirror_url(url)?, config::http(false)?),
        None => (here(&args.at)?, HttpClient::on_this_machine().map_err(|error| failed(&error))?),
    };
    let http = http.with_timeouts(Timeouts::of_database(ANSWERS_WITHIN)).map_err(|error| failed(&error))?;
    let url = format!("{mirror}{HEALTH_PATH}");
    let parsed = Url::parse(&url).map_err(Failure::usage)?;
    let line = progress::show(&format!("waiting for {mirror}"));
    let answer = Runtime::start()?.block_on(http.get_small(parsed, MAX_ANSWER));
    drop(line);
    let answer = answer.map_err(|error| failed(&error))?;
    if answer != HEALTHY.as_bytes() {
        let message = format!("{url} does not answer like a sumgate mirror: another server may be there");
        return Err(Failure::new(Fault::Host, message));
    }
    out::print(&format!("{mirror} answers\n"));
    Ok(Exit::Success)
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(Fault::Host, format!("the mirror does not answer: {}", in_full(error)))
}

/// The URL of the mirror with these flags, for a client on this machine.
fn here(args: &ListenArgs) -> Result<String, Failure> {
    let base = BasePath::parse(&args.base_path).map_err(Failure::usage)?;
    let (ip, port) = match args.listen {
        ListenAddress::At(address) if !address.ip().is_unspecified() => (address.ip(), address.port()),
        ListenAddress::At(address) => (IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        ListenAddress::Everywhere(port) => (IpAddr::V4(Ipv4Addr::LOCALHOST), port),
    };
    if port == 0 {
        let message = format!("expected the port of the mirror, found {}: add --url URL", args.listen);
        return Err(Failure::new(Fault::Request, message));
    }
    Ok(format!("http://{}{}", std::net::SocketAddr::from((ip, port)), base.as_str()))
}
