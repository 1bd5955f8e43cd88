//! The values of labels: all of them are known when the program starts.

/// What a request asks for, as far as its path tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Zip,
    Mod,
    Info,
    List,
    Latest,
    Lookup,
    Tile,
    /// The home page, a head of a database, and what is not served.
    Other,
}

impl RequestKind {
    pub(super) const ALL: [Self; 8] =
        [Self::Zip, Self::Mod, Self::Info, Self::List, Self::Latest, Self::Lookup, Self::Tile, Self::Other];

    /// The kind by the path as it was sent. It names a series and decides nothing, so it may be wrong for an invalid path.
    pub(crate) fn of(path: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or_default();
        let is_of_module = path.contains("/@");
        match file.rsplit_once('.').map(|(_, extension)| extension) {
            _ if !is_of_module && path.contains("/lookup/") => Self::Lookup,
            _ if !is_of_module && path.contains("/tile/") => Self::Tile,
            Some("zip") => Self::Zip,
            Some("mod") => Self::Mod,
            Some("info") => Self::Info,
            _ if path.ends_with("/@v/list") => Self::List,
            _ if file == "@latest" => Self::Latest,
            _ => Self::Other,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Mod => "mod",
            Self::Info => "info",
            Self::List => "list",
            Self::Latest => "latest",
            Self::Lookup => "lookup",
            Self::Tile => "tile",
            Self::Other => "other",
        }
    }
}

/// The statuses of answers. Any other one is counted as `other`.
pub(super) const STATUSES: [u16; 13] = [200, 206, 304, 400, 403, 404, 405, 416, 421, 500, 502, 503, 504];

/// How a request to an upstream or to an endpoint of a database ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    NotFound,
    /// 401, 403 or 451.
    Refused,
    Failed,
    Timeout,
    /// Nobody needed the answer any more: another source was faster, or the client left.
    Cancelled,
}

impl Outcome {
    pub(super) const ALL: [Self; 6] =
        [Self::Answered, Self::NotFound, Self::Refused, Self::Failed, Self::Timeout, Self::Cancelled];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheKind {
    /// Whole small answers.
    Response,
    /// Files of the store; a miss is a download.
    Store,
}

impl CacheKind {
    pub(super) const ALL: [Self; 2] = [Self::Response, Self::Store];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Store => "store",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_the_kind() {
        for (path, kind) in [
            ("/example.com/hello/@v/v1.0.0.zip", RequestKind::Zip),
            ("/go/example.com/hello/@v/v1.0.0.mod", RequestKind::Mod),
            ("/example.com/hello/@v/v1.0.0.info", RequestKind::Info),
            ("/example.com/hello/@v/main.info", RequestKind::Info),
            ("/example.com/hello.zip/@v/list", RequestKind::List),
            ("/example.com/tile/x/@v/list", RequestKind::List),
            ("/example.com/lookup/x/@latest", RequestKind::Latest),
            ("/example.com/hello/@latest", RequestKind::Latest),
            ("/lookup/example.com/hello@v1.0.0", RequestKind::Lookup),
            ("/sumdb/sum.example/lookup/example.com/hello@v1.0.0", RequestKind::Lookup),
            ("/sumdb/sum.example/tile/8/0/001.p/5", RequestKind::Tile),
            ("/", RequestKind::Other),
            ("/latest", RequestKind::Other),
            ("", RequestKind::Other),
        ] {
            assert_eq!(RequestKind::of(path), kind, "{path}");
        }
    }
}
