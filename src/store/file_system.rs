//! Whether a folder is on a local disk, where looking at a file that was just used does not wait.

use std::path::Path;

/// The numbers of file systems on local disks and in memory, from Linux's `magic.h`: ext, XFS, Btrfs, F2FS, tmpfs, overlayfs, and ZFS.
/// Others may be on a network.
#[cfg(target_os = "linux")]
const LOCAL: [i64; 7] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1];

#[cfg(target_os = "linux")]
pub(super) fn is_local(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| LOCAL.contains(&found.f_type))
}

/// Other systems have other numbers.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_local(_: &Path) -> bool {
    false
}
