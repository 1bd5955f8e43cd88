//! The settings of one source that is version control.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Enough to clone a large repository over a slow line.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The settings of `direct`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectSettings {
    /// Where temporary folders are made.
    pub scratch: PathBuf,
    /// A file that changes when a pin is forgotten.
    pub forgotten: PathBuf,
    /// How long one run of `go` may take.
    pub timeout: Duration,
    /// How `go` logs in (`go help goauth`).
    pub goauth: String,
    /// The modules whose hosts need no valid certificate, in the format of GOINSECURE.
    pub insecure: String,
    /// Names of variables that `go` and git get in addition to the usual ones.
    pub variables: Vec<String>,
}

impl DirectSettings {
    /// With the default timeout, unless another one is given, and the default of GOAUTH.
    pub fn new(scratch: &Path, forgotten: PathBuf, timeout: Option<Duration>) -> Self {
        Self {
            scratch: scratch.to_owned(),
            forgotten,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            goauth: "netrc".to_owned(),
            insecure: String::new(),
            variables: Vec::new(),
        }
    }
}
