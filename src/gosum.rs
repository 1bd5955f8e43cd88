//! Hash lines: those of go.sum files.
//!
//! `PATH VERSION[/go.mod] ALGORITHM:HASH`, fields separated by white space in go.sum (<https://go.dev/ref/mod#go-sum-files>)
//! and by single spaces in a record.

mod file;

pub use file::{AnyHash, SumContent, SumHash, SumLine, go_sum_lines, parse_go_sum};
