//! SIGHUP: `serve` reads its settings again. If anything in them is invalid, the old ones stay in force.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::{LogFormat, ServeArgs};
use super::command_line::serve_again;
use super::exit::Failure;
use super::serve_settings::{Kept, ServeSettings, Serving};
use crate::mirror::ListenAddress;
use crate::store::{EventLimits, Store};

/// How much of the event log is kept.
pub(super) fn event_limits(args: &ServeArgs) -> EventLimits {
    EventLimits { file_size: args.events.events_file_size, files: args.events.events_files }
}

/// Reads the settings again. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reload {
    started: Started,
    store: Arc<Store>,
    kept: Kept,
}

/// The flags that hold until the mirror ends: it listens already, clients know its URL, and its data folder is open.
#[derive(Clone)]
struct Started {
    listen: ListenAddress,
    base_path: String,
    data: Option<PathBuf>,
    offline: bool,
    shared: bool,
    events: EventLimits,
    log_format: LogFormat,
}

impl Reload {
    pub(super) fn new(args: &ServeArgs, store: &Arc<Store>, kept: &Kept) -> Self {
        Self { started: Started::of(args), store: Arc::clone(store), kept: kept.clone() }
    }

    /// Reads the settings, and returns the flags that have changed in vain. Blocks.
    pub(super) fn read(&self) -> Result<(Serving, Vec<&'static str>), Failure> {
        let (mut args, file) = serve_again()?;
        let in_vain = self.started.restore(&mut args);
        let settings = ServeSettings::of(&args, file)?;
        Ok((settings.serving(&args, &self.store, &self.kept)?, in_vain))
    }
}

impl Started {
    fn of(args: &ServeArgs) -> Self {
        let at = &args.address.at;
        Self {
            listen: at.listen,
            base_path: at.base_path.clone(),
            data: args.state.data.clone(),
            offline: args.offline,
            shared: args.shared,
            events: event_limits(args),
            log_format: args.log_format,
        }
    }

    /// Sets these flags in `args` as they were; returns which of them differed.
    fn restore(&self, args: &mut ServeArgs) -> Vec<&'static str> {
        let now = Self::of(args);
        let changed = [
            ("--listen", self.listen != now.listen),
            ("--base-path", self.base_path != now.base_path),
            ("--data", self.data != now.data),
            ("--offline", self.offline != now.offline),
            ("--shared", self.shared != now.shared),
            ("--events-file-size", self.events.file_size != now.events.file_size),
            ("--events-files", self.events.files != now.events.files),
            ("--log-format", self.log_format != now.log_format),
        ];
        // The events have their thread already.
        let Self { listen, base_path, data, offline, shared, events: _, log_format } = self.clone();
        (args.address.at.listen, args.address.at.base_path, args.state.data) = (listen, base_path, data);
        (args.offline, args.shared, args.log_format) = (offline, shared, log_format);
        changed.into_iter().filter_map(|(flag, changed)| changed.then_some(flag)).collect()
    }
}
