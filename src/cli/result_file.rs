//! Result files, written exactly where the user wants them.
//!
//! The working folder and the command may be those of an attacker. So no folder in the work tree may be a link in the path of the
//! file, its folder is opened at the start, and the file is written under another name and renamed. An open descriptor, such as that
//! of a FIFO or a device, is named as `fd:N`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::exit::Failure;
use crate::base::fault::Fault;
use crate::base::tree::Tree;

/// The usual mode of new files; the umask applies.
const MODE: Mode = Mode::from_raw_mode(0o666);
/// For the owner only.
const SECRET: Mode = Mode::from_raw_mode(0o600);
/// 64 bits: neither an existing name, nor one that can be guessed.
const NAME_BYTES: usize = 8;

/// Where a result will be written.
#[derive(Debug)]
pub(super) enum ResultFile {
    /// A descriptor that the caller opened.
    Descriptor(File, String),
    /// A file in a folder.
    InFolder(InFolder),
}

#[derive(Debug)]
pub(super) struct InFolder {
    /// As given, for messages.
    shown: PathBuf,
    /// The path of `opened`.
    folder: PathBuf,
    opened: OwnedFd,
    name: OsString,
}

impl ResultFile {
    /// Opens the path of `flag`. An older file is removed, so that it is not mistaken for the new one.
    pub(super) fn open(flag: &str, typed: &Path) -> Result<Self, Failure> {
        if typed == Path::new("-") {
            let message = format!("{flag} -: stdout belongs to the command; name a file, or a descriptor as fd:N");
            return Err(Failure::new(Fault::Request, message));
        }
        if let Some(number) = typed.to_str().and_then(|text| text.strip_prefix("fd:")) {
            return descriptor(flag, number);
        }
        let place = InFolder::open(flag, typed)?;
        // Errors must be found before a long command runs.
        place.probe().and_then(|()| place.remove_old()).map_err(|error| cannot_write(typed, &error))?;
        Ok(Self::InFolder(place))
    }

    /// Writes the result.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Descriptor(file, shown) => {
                file.write_all(text.as_bytes()).map_err(|error| cannot_write(Path::new(shown), &error))
            }
            Self::InFolder(place) => place.write(text).map_err(|error| cannot_write(&place.shown, &error)),
        }
    }
}

/// Writes a secret to a new file.
pub(super) fn write_secret(flag: &str, typed: &Path, text: &str) -> Result<(), Failure> {
    let place = InFolder::open(flag, typed)?;
    // Not renamed: that would replace an existing file, and not every file system has hard links.
    place.create(&place.name, SECRET, text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = format!("{} exists already: keys are not overwritten; name a new file", typed.display());
            Failure::new(Fault::Request, message)
        }
        _ => cannot_write(typed, &error),
    })
}

impl InFolder {
    fn open(flag: &str, typed: &Path) -> Result<Self, Failure> {
        let refuse =
            |found: String| Failure::new(Fault::Request, format!("cannot write {}: {flag}: {found}", typed.display()));
        let name = match typed.components().next_back() {
            Some(Component::Normal(name)) => name.to_owned(),
            _ => return Err(refuse("expected a file name".to_owned())),
        };
        let tree = Tree::around(Path::new(".")).map_err(|error| Failure::host("find the working folder", &error))?;
        let above = typed.parent().unwrap_or(Path::new(""));
        let folder = real_folder(above, &tree).map_err(|error| cannot_write(typed, &error))?;
        let folder = folder.map_err(|link| refuse(format!("expected a folder, found the link {}", link.display())))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&folder, flags, Mode::empty());
        let opened = opened.map_err(|error| cannot_write(typed, &error.into()))?;
        match folder.join(&name).symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot_write(typed, &error)),
            Ok(found) if found.is_file() => {}
            Ok(found) => {
                let kind = found.file_type();
                let what = if kind.is_symlink() {
                    "a link: remove it, or name the file that it leads to".to_owned()
                } else if kind.is_dir() {
                    "a folder".to_owned()
                } else {
                    let what = if kind.is_fifo() { "a FIFO" } else { "a device or a socket" };
                    format!("{what}: open it, and name the descriptor ({flag} fd:3 3>{})", typed.display())
                };
                return Err(refuse(format!("expected a regular file or none, found {what}")));
            }
        }
        Ok(Self { shown: typed.to_owned(), folder, opened, name })
    }

    /// Checks that a file can be created here.
    fn probe(&self) -> io::Result<()> {
        let beside = self.beside(MODE, b"")?;
        Ok(rustix::fs::unlinkat(&self.opened, &beside, AtFlags::empty())?)
    }

    fn remove_old(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.opened, &self.name, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        // The descriptor still leads to the old folder, but the file must be where the user expects it.
        let (held, there) = (rustix::fs::fstat(&self.opened)?, self.folder.symlink_metadata()?);
        if (held.st_dev, held.st_ino) != (there.dev(), there.ino()) {
            return Err(io::Error::other("its folder was replaced while the command ran"));
        }
        let beside = self.beside(MODE, text.as_bytes())?;
        let renamed = rustix::fs::renameat(&self.opened, &beside, &self.opened, &self.name);
        if renamed.is_err() {
            rustix::fs::unlinkat(&self.opened, &beside, AtFlags::empty())?;
        }
        Ok(renamed?)
    }

    /// Creates a file in the folder under a random name, and returns the name.
    fn beside(&self, mode: Mode, bytes: &[u8]) -> io::Result<String> {
        let mut random = [0; NAME_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!(".sumgate-{}", hex::encode(random));
        self.create(name.as_ref(), mode, bytes)?;
        Ok(name)
    }

    /// Creates a file in the folder. If it cannot be written, it is removed.
    fn create(&self, name: &OsStr, mode: Mode, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.opened, name, flags, mode)?);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            rustix::fs::unlinkat(&self.opened, name, AtFlags::empty())?;
        }
        written
    }
}

/// The folder with links resolved, or the link in the tree that its path contains.
fn real_folder(typed: &Path, tree: &Tree) -> io::Result<Result<PathBuf, PathBuf>> {
    let mut at = Path::new(".").canonicalize()?;
    for part in typed.components() {
        match part {
            Component::CurDir => {}
            // `at` has no links, so this is the parent folder.
            Component::ParentDir => {
                at.pop();
            }
            Component::Normal(name) => {
                let next = at.join(name);
                if at.starts_with(tree.root()) && next.is_symlink() {
                    return Ok(Err(next));
                }
                at = next.canonicalize()?;
            }
            part => at = PathBuf::from(part.as_os_str()),
        }
    }
    Ok(Ok(at))
}

/// Opens a descriptor again, in append mode.
fn descriptor(flag: &str, number: &str) -> Result<ResultFile, Failure> {
    let shown = format!("fd:{number}");
    let refuse = |why: &str| Failure::new(Fault::Request, format!("cannot write {shown}: {flag}: {why}"));
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = digits.then(|| number.parse().ok()).flatten().ok_or_else(|| refuse("expected fd:N"))?;
    if number <= 2 {
        return Err(refuse("descriptors 0 to 2 belong to the command; open another one, such as fd:3"));
    }
    // Opening a FIFO without a reader must not block; writing may.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(format!("/dev/fd/{number}"), flags, Mode::empty());
    let file = opened.and_then(|opened| {
        rustix::fs::fcntl_setfl(&opened, OFlags::APPEND)?;
        Ok(File::from(opened))
    });
    match file {
        Ok(file) => Ok(ResultFile::Descriptor(file, shown.clone())),
        Err(rustix::io::Errno::NOENT) => Err(refuse("no such descriptor is open")),
        Err(rustix::io::Errno::NXIO) => Err(refuse("it has no reader, or is a socket")),
        Err(error) => Err(cannot_write(Path::new(&shown), &error.into())),
    }
}

fn cannot_write(typed: &Path, error: &io::Error) -> Failure {
    Failure::host(&format!("write {}", typed.display()), error)
}
