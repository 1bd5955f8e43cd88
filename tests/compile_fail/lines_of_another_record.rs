//! E0451: the lines of one record are not given to another.

use sumgate::sumdb::RecordLines;

pub fn swap(lines: RecordLines, record: tlog::ProvenRecord) -> RecordLines {
    RecordLines { record, ..lines }
}
