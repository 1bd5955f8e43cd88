//! Limits that several files share.

use gomodule::gomod::MAX_GO_MOD;

/// Largest go.sum, go.mod or go.work, in bytes. The go.sum of a very large monorepo has one megabyte.
pub const MAX_SUM: u64 = MAX_GO_MOD;
/// Deepest folder of a module cache or an export. Module paths are shorter: they have at most 500 bytes, and the layouts add
/// about five elements.
pub const MAX_DEPTH: usize = 256;
/// Longest output of a child process that prints settings or names, in bytes. Usual outputs have some kilobytes.
pub const MAX_ANSWER: u64 = 1 << 20;
/// Most findings of one kind that are reported, to keep reports readable.
pub const MAX_TOLD: usize = 20;
/// Most names in one message.
pub const MAX_NAMED: usize = 3;
