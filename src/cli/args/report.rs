//! The arguments of `sumgate report`, and those of `serve` about its event log.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::cache::DataArgs;
use crate::base::duration;
use crate::events::{Filter, Outcome, WantedModule};
use crate::policy::size;

/// With the default number of files 256 MiB, about half a million events: what a team of fifty whose builds fetch 20,000 files a day
/// makes in a month.
const FILE_SIZE: &str = "16MiB";
const FILES: &str = "16";
/// Twice what is written at once: a smaller file would be replaced by each write.
const LEAST_FILE_SIZE: u64 = 128 << 10;
/// More files only make the folder slow to list.
const MAX_FILES: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ReportCommand {
    /// Print who got which module file, proved how, and what was refused and why
    ///
    /// Reads the event log that `sumgate serve` writes in its data folder, from the oldest event to the newest, also while the mirror
    /// runs. Makes no requests and writes nothing. With several options, an event must match all of them.
    #[command(
        after_long_help = "Examples:\n  sumgate report events --since 24h --outcome refused\n  sumgate report events --module golang.org/x --format json"
    )]
    Events(Box<EventsArgs>),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EventsArgs {
    /// Only events of the last 24h, 7d and the like, or since a time (UTC) such as 2026-05-31 or 2026-05-31T12:00:00Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    pub(in crate::cli) since: Option<Since>,
    /// Only modules that match patterns as in GOPRIVATE; PATTERN@VERSION: only that version
    #[arg(long, value_name = "PATTERN", value_parser = WantedModule::parse)]
    pub(in crate::cli) module: Option<WantedModule>,
    /// Only requests of a client, by its IP address, or of a network in CIDR notation
    #[arg(long, value_name = "IP", value_parser = Filter::client_of)]
    pub(in crate::cli) client: Option<IpNet>,
    /// Only events of this kind; repeatable
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    pub(in crate::cli) outcome: Vec<Outcome>,
    /// Only refusals with this code, such as wrong-bytes; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(in crate::cli) code: Vec<String>,
    /// Only the request with this id, which is in the text of a refusal and in the header X-Request-Id
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) request_id: Option<String>,
    /// Format of the report; json: one event a line, as in the log
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(in crate::cli) format: EventFormat,
    /// Wait for more events, until the command is stopped
    #[arg(long)]
    pub(in crate::cli) follow: bool,
    #[command(flatten)]
    pub(in crate::cli) data: DataArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum EventFormat {
    /// A line of text
    Human,
    /// A line of JSON
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Since {
    Ago(Duration),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    let at = || text.parse::<Timestamp>().ok().or_else(|| midnight(text)).map(Since::At);
    let ago = duration::duration(text).map(Since::Ago);
    ago.or_else(at)
        .ok_or_else(|| "expected a duration such as 24h or 7d, or a time such as 2026-05-31T12:00:00Z".to_owned())
}

fn midnight(text: &str) -> Option<Timestamp> {
    Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// What `serve` writes down, and whom it tells.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EventLogArgs {
    /// Size of a file of the event log at which the next one begins, at least 128KiB
    ///
    /// The log has a line for each file that is served or refused: see docs/operations.md.
    #[arg(long, value_name = "SIZE", env = "SUMGATE_EVENTS_FILE_SIZE", default_value = FILE_SIZE, value_parser = file_size)]
    pub(in crate::cli) events_file_size: u64,
    /// Number of files of the event log; the oldest is removed for a new one; 0: no event log
    #[arg(long, value_name = "N", env = "SUMGATE_EVENTS_FILES", default_value = FILES, value_parser = clap::value_parser!(u64).range(..=MAX_FILES))]
    pub(in crate::cli) events_files: u64,
    /// URL to which a fork, wrong bytes, refusals and sources that are down are sent, as JSON with a signature
    ///
    /// https, or http on this machine. No redirect is followed. Names of private modules are not sent. See docs/operations.md.
    #[arg(long, value_name = "URL", env = "SUMGATE_NOTIFY", hide_env_values = true)]
    pub(in crate::cli) notify: Option<String>,
    /// File with the secret that signs what is sent to --notify, at least 16 characters
    #[arg(long, value_name = "FILE", env = "SUMGATE_NOTIFY_SECRET")]
    pub(in crate::cli) notify_secret: Option<std::path::PathBuf>,
}

fn file_size(text: &str) -> Result<u64, String> {
    let size = size(text).map_err(|error| error.to_string())?;
    if size < LEAST_FILE_SIZE { Err(format!("expected at least {} KiB", LEAST_FILE_SIZE >> 10)) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_or_a_time() {
        let at = |text: &str| text.parse().map(Since::At).map_err(|_| String::new());
        assert_eq!(since("24h"), Ok(Since::Ago(Duration::from_secs(24 * 3600))));
        assert_eq!(since("2026-05-31"), at("2026-05-31T00:00:00Z"));
        assert_eq!(since("2026-05-31T12:00:00+02:00"), at("2026-05-31T10:00:00Z"));
        for wrong in ["", "24", "yesterday", "2026-13-01"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_the_log_has_a_least_size() {
        assert!(file_size("128KiB").is_ok() && file_size("127KiB").is_err() && file_size("much").is_err());
    }
}
