//! Limits that hold in more than one place. What bounds one file alone stands there.

use gomodule::gomod::MAX_GO_MOD;

/// The largest go.sum, go.mod or go.work, in bytes. The go.sum of a very large monorepo has one megabyte.
pub const MAX_SUM: u64 = MAX_GO_MOD;
/// How deep the folders of a module cache, or of what was carried, are. No module path is deeper: paths have at most 1,000
/// bytes or so on any proxy, and the layout puts five elements or so around them.
pub const MAX_DEPTH: usize = 256;
/// What a child process prints in answer to a question about settings or names, in bytes: some kilobytes.
pub const MAX_ANSWER: u64 = 1 << 20;
/// Findings of one kind that are told. More of them tell nothing new.
pub const MAX_TOLD: usize = 20;
/// Names that stand in one message.
pub const MAX_NAMED: usize = 3;
