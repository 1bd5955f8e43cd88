//! `sumgate env`: prints the command that points `go` at a mirror, and the one that undoes it.

use super::args::{AddressArgs, DEFAULT_UPSTREAM, EnvArgs};
use super::exit::{Exit, Failure};
use super::serve_file::ConfigFile;
use super::{config, out, sources};
use crate::base::fault::Fault;
use crate::mirror::{BasePath, ListenAddress, go_env_line, go_env_undo};
use gomodule::module::Patterns;

pub(super) fn run(args: &EnvArgs, file: Result<ConfigFile, Failure>) -> Result<Exit, Failure> {
    let databases = config::databases(&args.databases.sumdb)?;
    let (base, exempt) = config::address(&args.address)?;
    let case = &args.address.exempt.case;
    let private = sources::of(file?.settings, DEFAULT_UPSTREAM, Patterns::default(), case, None)?.private();
    let url = args.url.as_deref().map_or_else(|| url_of(&args.address, &base), config::mirror_url)?;
    let exempt = exempt.with(private);
    let line = go_env_line(&url, &databases[0], &exempt);
    // A comment, because the output may be evaluated by a shell.
    out::print(&format!("{line}\n# To go back: {}\n", go_env_undo(&exempt)));
    Ok(Exit::Success)
}

/// The URL of a mirror on this machine.
fn url_of(address: &AddressArgs, base: &BasePath) -> Result<String, Failure> {
    let address = match address.at.listen {
        ListenAddress::At(address) if address.port() != 0 && !address.ip().is_unspecified() => address,
        found => {
            let message = format!("expected an address that clients can connect to, found {found}: add --url URL");
            return Err(Failure::new(Fault::Request, message));
        }
    };
    Ok(format!("http://{address}{}", base.as_str()))
}
