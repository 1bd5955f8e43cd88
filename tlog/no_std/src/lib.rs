//! Verifies a signed tree head without the standard library. With it, there would be two panic handlers, and this would not
//! build.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use tlog::{SUMDB_ORIGIN, SignedCheckpoint, VerifierKey};

/// No memory: this is built, and not run.
struct NoMemory;

// SAFETY: no memory is handed out, so none is used or freed.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// What is checked is linked only if something reaches it.
pub fn is_signed_head(note: &[u8], key: &str) -> bool {
    VerifierKey::parse(key).is_ok_and(|key| SignedCheckpoint::open(note, SUMDB_ORIGIN, &key).is_ok())
}
