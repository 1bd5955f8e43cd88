//! E0308: a reply that is not proved has no lines.

pub fn read(reply: tlog::LookupReply, module: &gomodule::module::ModuleVersion) {
    let _ = sumgate::sumdb::ModuleRecord::of(reply, module);
}
