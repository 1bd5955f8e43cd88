//! Targets for requests of clients, answers of upstreams, and addresses.

use std::io::Write;

use gomodule::dirhash::{StreamHasher, ZipLimits, hash_module_zip, hash_module_zip_streamed, module_in_zip};
use gomodule::proxy_request::Request;
use sumgate::fuzzing;
use sumgate::sumdb::Database;
use sumgate::upstream::ProxyList;
use sumgate::upstream::database_request::DatabaseRequest;

/// The request of a path prints as a path with the same request.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(written) = fuzzing::path(text) {
        // A version query may have a `%`, which is decoded.
        assert_eq!(fuzzing::path(&written.replace('%', "%25")), Some(written));
    }
}

/// A request prints as its input.
pub fn request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(request) = Request::parse(text) {
        assert_eq!(request.to_string(), text);
        assert!(request.max_len() > 0);
    }
    if let Ok(request) = DatabaseRequest::parse(text) {
        assert_eq!(request.to_string(), text);
        assert!(request.max_len() > 0);
    }
}

/// A range is inside the file, and a header with its bounds gives the same range.
pub fn range(bytes: &[u8]) {
    for length in [0, 1, 10, u64::MAX] {
        if let Some((first, last)) = fuzzing::range(bytes, length) {
            assert!(first <= last && last < length);
            let again = fuzzing::range(format!("bytes={first}-{last}").as_bytes(), length);
            assert_eq!(again, Some((first, last)));
        }
    }
}

/// The query of a request for events.
pub fn event_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(again) = fuzzing::event_query(text) {
        assert_eq!(fuzzing::event_query(&again).as_ref(), Some(&again), "the same filter");
    }
}

/// What a text in the search box asks for prints as a text that asks for the same.
pub fn search(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(written) = fuzzing::search(text) {
        assert_eq!(fuzzing::search(&written), Some(written));
    }
}

/// An `.info` prints as an equal one.
pub fn info(bytes: &[u8]) {
    if let Some(written) = fuzzing::info(bytes) {
        assert_eq!(fuzzing::info(&written), Some(written));
    }
}

/// A request in the first line, then the answer. What one mirror passes on, another mirror passes on unchanged.
pub fn answer(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let Some(request) = std::str::from_utf8(&bytes[..at]).ok().and_then(|path| Request::parse(path).ok()) else {
        return;
    };
    let body = &bytes[at + 1..];
    let Some(passed) = fuzzing::answer(&request, body) else { return };
    let listed = String::from_utf8_lossy(&passed);
    assert!(fuzzing::versions(&passed).iter().all(|version| listed.contains(version.as_ref())));
    assert_eq!(fuzzing::answer(&request, &passed), Some(passed));
}

/// The stream hasher has the same result as the reader of the file, in whatever pieces the bytes arrive.
pub fn stream(bytes: &[u8]) {
    let Ok(mut file) = tempfile::tempfile() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let limits = ZipLimits { zip: 1 << 20, single: 1 << 16, threads: 1 };
    let module = module_in_zip(&file, &limits);
    for piece in [1, 7, bytes.len().max(1)] {
        let mut stream = StreamHasher::new(&limits);
        bytes.chunks(piece).for_each(|bytes| stream.feed(bytes));
        // Also feeds input that is not a zip.
        let Ok(module) = &module else { continue };
        let hashed = hash_module_zip_streamed(&file, module, &limits, &stream).map(|report| report.h1);
        let read = hash_module_zip(&file, module, &limits).map(|report| report.h1);
        assert_eq!(hashed.map_err(|error| error.to_string()), read.map_err(|error| error.to_string()));
    }
}

/// The GOSUMDB value for `go`, with the URL, gives the same database at the same URL.
pub fn database(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(database) = Database::parse(text) {
        let again = Database::parse(&format!("{} {}", database.for_go(), database.url())).expect("a valid GOSUMDB");
        assert_eq!((again.key().to_string(), again.url()), (database.key().to_string(), database.url()));
    }
}

/// A proxy list prints as an equal one.
pub fn proxies(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(list) = ProxyList::parse(text) else { return };
    let written = list.to_string();
    // A folder prints as its path, not as a URL.
    if !written.contains("file:") {
        assert_eq!(ProxyList::parse(&written).map(|again| again.to_string()), Ok(written));
    }
}
