//! The module that every mirror refuses, so that `sumgate doctor --try` can see whether `go` asks one.
//!
//! RFC 6761 reserves `.invalid`: no host can have a name below it, so no other server can serve this module.

use gomodule::module::{ModulePath, ModuleVersion};

/// The host of reserved modules.
const HOST: &str = "sumgate.invalid";

/// The end of every refusal of a reserved module, on one line: `go` shows it.
pub(crate) const REFUSED_WORDS: &str = "is reserved, and refused by every sumgate mirror";

/// Whether a path is reserved.
pub(crate) fn is_reserved(path: &ModulePath) -> bool {
    path.host() == HOST
}

/// A version of a reserved module.
pub(crate) fn reserved_module() -> Option<ModuleVersion> {
    ModuleVersion::parse(&format!("{HOST}/refused@v1.0.0")).ok()
}
