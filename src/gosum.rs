//! Hash lines of go.sum files.

pub use gomodule::gosum::{AnyHash, SumContent, SumHash, SumLine, go_sum_lines, parse_go_sum};
