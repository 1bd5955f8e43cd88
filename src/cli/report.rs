//! `sumgate report events`: prints the event log.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::args::{EventFormat, EventsArgs, ReportCommand, Since};
use super::exit::{Exit, Failure};
use super::{config, out, progress};
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::text::counted;
use crate::events::{Filter, Found, Reader, human};
use crate::store::{Access, Store, StoreError};

/// Soon enough for a reader at a terminal.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What was read.
#[derive(Default)]
struct Tally {
    matching: usize,
    unreadable: usize,
    later: usize,
}

pub(super) fn run(command: &ReportCommand) -> Result<Exit, Failure> {
    let ReportCommand::Events(args) = command;
    let data = config::data_folder(args.data.data.as_deref())?;
    if !data.is_dir() {
        let message = format!("there is no data folder {}: name that of the mirror with --data DIR", data.display());
        return Err(Failure::new(Fault::Host, message));
    }
    let store = Store::inspect(&data, Access::Read, Clock::System)?;
    let (mut reader, filter) = (Reader::new(store.events()), filter(args));
    let (mut tally, mut failed) = (Tally::default(), None);
    // Who follows knows that it waits.
    let line = (!args.follow).then(|| progress::show("reading the event log"));
    out::stream(|to| {
        loop {
            match reader.next() {
                Ok(Some(found)) => tally.add(found, &filter, args.format, to)?,
                Ok(None) if args.follow => {
                    to.flush()?;
                    std::thread::sleep(LOOK_AGAIN);
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    failed = Some(error);
                    return Ok(());
                }
            }
        }
    })?;
    drop(line);
    tally.unreadable += usize::from(reader.has_begun());
    tally.explain(&store);
    failed.map_or(Ok(Exit::Success), |error: StoreError| Err(error.into()))
}

fn filter(args: &EventsArgs) -> Filter {
    let since = args.since.as_ref().map(|since| match since {
        Since::At(time) => *time,
        Since::Ago(ago) => SystemTime::now()
            .checked_sub(*ago)
            .and_then(|time| Timestamp::try_from(time).ok())
            .unwrap_or(Timestamp::MIN),
    });
    let module = args.module.as_ref();
    Filter {
        since,
        module: module.map(|module| module.patterns.clone()),
        version: module.and_then(|module| module.version.clone()),
        client: args.client,
        outcome: args.outcome.clone(),
        code: args.code.clone(),
        request: args.request_id.clone(),
    }
}

impl Tally {
    fn add(&mut self, found: Found, filter: &Filter, format: EventFormat, to: &mut dyn Write) -> io::Result<()> {
        let event = match found {
            Found::Event(event) if filter.matches(&event) => event,
            Found::Event(_) => return Ok(()),
            Found::Later => {
                self.later += 1;
                return Ok(());
            }
            Found::Unreadable => {
                self.unreadable += 1;
                return Ok(());
            }
        };
        self.matching += 1;
        let line = match format {
            EventFormat::Human => human(&event),
            EventFormat::Json => event.line(),
        };
        writeln!(to, "{line}")
    }

    /// Says on stderr what the report does not have.
    fn explain(&self, store: &Store) {
        if self.matching == 0 {
            out::message(&format!("no event matches in the data folder {}", store.root().display()));
        }
        if self.unreadable > 0 {
            let lines = counted(self.unreadable, "line");
            out::message(&format!("{lines} of the event log cannot be read, as after a crash or on a full disk"));
        }
        if self.later > 0 {
            let lines = counted(self.later, "line");
            out::message(&format!(
                "{lines} of the event log have a later format: use the version of sumgate that wrote them"
            ));
        }
    }
}
