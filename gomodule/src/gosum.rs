//! The lines of go.sum files: `PATH VERSION[/go.mod] ALGORITHM:HASH`, separated by white space
//! (<https://go.dev/ref/mod#go-sum-files>).

mod file;

pub use file::{AnyHash, SumContent, SumHash, SumLine, go_sum_lines, parse_go_sum};
