//! `sumgate env`: prints the command that points `go` at a mirror.

use super::args::EnvArgs;
use super::config;
use super::exit::{Exit, Failure};
use super::out;
use crate::base::fault::Fault;

pub(super) fn run(args: &EnvArgs) -> Result<Exit, Failure> {
    let databases = config::databases(&args.databases.sumdb)?;
    let (base, exempt) = config::address(&args.address)?;
    let url = match &args.url {
        Some(url) => {
            let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            if parsed.is_none() {
                return Err(Failure::new(Fault::Request, format!("--url {url:?}: expected an http or https url")));
            }
            url.trim_end_matches('/').to_owned()
        }
        None => format!("http://{}{}", args.address.listen.in_url(), base.as_str()),
    };
    out::print(&format!("{}\n", config::go_env_line(&url, &databases[0], &exempt)));
    Ok(Exit::Success)
}
