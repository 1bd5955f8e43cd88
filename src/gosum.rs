//! Hash lines: those of go.sum files, and those of database records.

mod record;

pub use gomodule::gosum::{AnyHash, SumContent, SumHash, SumLine, go_sum_lines, parse_go_sum};
pub use record::{RecordLines, RecordLinesError, parse_record_text};
