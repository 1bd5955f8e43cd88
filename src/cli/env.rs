//! `sumgate env`: prints the command that points `go` at a mirror.

use super::args::{DEFAULT_UPSTREAM, EnvArgs};
use super::exit::{Exit, Failure};
use super::serve_file::ConfigFile;
use super::{config, out, sources};
use crate::base::fault::Fault;
use gomodule::module::Patterns;

pub(super) fn run(args: &EnvArgs, file: Result<ConfigFile, Failure>) -> Result<Exit, Failure> {
    let databases = config::databases(&args.databases.sumdb)?;
    let (base, exempt) = config::address(&args.address)?;
    let private = sources::of(file?.settings, DEFAULT_UPSTREAM, Patterns::default())?.private();
    let url = match &args.url {
        Some(url) => {
            let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            if parsed.is_none() {
                return Err(Failure::new(Fault::Request, format!("--url {url:?}: expected an http or https url")));
            }
            url.trim_end_matches('/').to_owned()
        }
        None => {
            let address = args.address.listen;
            if address.port() == 0 || address.ip().is_unspecified() {
                let message =
                    format!("expected an address that clients can connect to, found {address}: add --url URL");
                return Err(Failure::new(Fault::Request, message));
            }
            format!("http://{address}{}", base.as_str())
        }
    };
    out::print(&format!("{}\n", config::go_env_line(&url, &databases[0], &exempt.with(private))));
    Ok(Exit::Success)
}
