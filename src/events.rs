//! What happened, for the operator: who got what, proved how; what was refused, and why.
//!
//! ```text
//! release, mirror ─Event→ Journal ─one thread→ DATA/events/events-N.jsonl ─read→ report
//!                    ├──→ Notifier ─one task→ POST to a URL of the operator
//!                    └──→ Feed ─the newest, and each as it happens→ page
//! ```
//!
//! No request ever waits for a disk or a receiver: the queues are bounded, and what does not fit is counted and left out.

mod event;
mod feed;
mod filter;
mod history;
mod journal;
mod line;
mod notifier;
mod outbox;
mod reader;
mod recorder;
mod ring;
mod signature;
mod tally;

pub(crate) use event::{Event, Facts, Outcome, plain_json};
pub(crate) use feed::{Feed, Follower, Span};
pub(crate) use filter::{Filter, WantedModule};
pub(crate) use history::fill;
pub(crate) use journal::Journal;
pub(crate) use line::human;
pub(crate) use notifier::{Notifier, Receiver};
pub(crate) use reader::{Found, Reader};
pub(crate) use recorder::Recorder;
pub(crate) use ring::{Entry, News};
pub(crate) use tally::{Counts, Tally};
