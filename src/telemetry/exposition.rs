//! The text that Prometheus reads. Names and units follow the naming practices of Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::gauges::Gauges;
use super::labels::{CacheKind, Outcome, RequestKind, STATUSES};
use super::metrics::{Metrics, Totals};
use super::number::{Counter, Histogram};
use super::source::SourceTotals;
use crate::base::lock::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// OpenMetrics for clients that ask for it. Prometheus names its formats, best first.
    pub(crate) fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// Everything, as text; `None` if nothing is counted.
pub(crate) fn expose(
    metrics: &Metrics,
    gauges: Gauges,
    build: &[(&'static str, String)],
    format: Format,
) -> Option<String> {
    let scrape = Scrape { metrics: metrics.clone(), gauges, build: build.to_vec() };
    metrics.totals()?;
    let (mut registry, mut text) = (Registry::default(), String::new());
    registry.register_collector(Box::new(scrape));
    match format {
        Format::OpenMetrics => text::encode(&mut text, &registry),
        Format::Prometheus => prometheus_text::encode(&mut text, &registry),
    }
    .ok()?;
    Some(text)
}

#[derive(Debug)]
struct Scrape {
    metrics: Metrics,
    gauges: Gauges,
    build: Vec<(&'static str, String)>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(totals) = self.metrics.totals() else { return Ok(()) };
        let mut page = Page(&mut encoder);
        requests(&mut page, totals)?;
        sources(&mut page, totals, &self.gauges)?;
        proofs(&mut page, totals)?;
        databases(&mut page, &self.gauges)?;
        machine(&mut page, totals, &self.gauges)?;
        page.info("sumgate_build", "The version of the program.", &self.build)
    }
}

fn requests(page: &mut Page<'_, '_>, totals: &Totals) -> fmt::Result {
    let statuses: Vec<String> = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]).collect();
    let series = RequestKind::ALL.iter().flat_map(|kind| {
        let of_kind = statuses.iter().zip(&totals.requests[*kind as usize]);
        of_kind.map(move |(status, counter)| ([("route", kind.name()), ("status", status.as_str())], counter.get()))
    });
    page.counters("sumgate_http_requests", "Requests by what they ask for and by the status of the answer.", series)?;
    let series = RequestKind::ALL.iter().map(|kind| ([("route", kind.name())], &totals.durations[*kind as usize]));
    page.histograms("sumgate_http_request_duration_seconds", "Time until the head of the answer.", series)?;
    let bytes = totals.sent_bytes.get();
    page.counters("sumgate_http_response_bytes", "Bytes of the bodies of answers.", one(bytes))?;
    page.gauges(
        "sumgate_http_requests_in_flight",
        "Requests whose answer is not sent yet.",
        one(totals.in_flight.get()),
    )?;
    let series = totals.codes.iter().zip(&totals.refusals).map(|(code, counter)| ([("code", *code)], counter.get()));
    page.counters("sumgate_refusals", "Requests that were refused, by the code of the refusal.", series)?;
    let series = CacheKind::ALL.iter().flat_map(|cache| {
        let of_cache = ["hit", "miss"].into_iter().zip(&totals.caches[*cache as usize]);
        of_cache.map(move |(result, counter)| ([("cache", cache.name()), ("result", result)], counter.get()))
    });
    page.counters("sumgate_cache_requests", "Requests that a cache answered, or did not.", series)
}

fn sources(page: &mut Page<'_, '_>, totals: &Totals, gauges: &Gauges) -> fmt::Result {
    let all: Vec<(String, Arc<SourceTotals>)> =
        lock(&totals.sources).iter().map(|(name, source)| (name.clone(), Arc::clone(source))).collect();
    let series = all.iter().flat_map(|(name, source)| {
        let outcomes = Outcome::ALL.iter().zip(&source.outcomes);
        outcomes
            .map(move |(outcome, counter)| ([("source", name.as_str()), ("outcome", outcome.name())], counter.get()))
    });
    page.counters("sumgate_upstream_requests", "Requests to upstreams and databases by their outcome.", series)?;
    let series = all.iter().map(|(name, source)| ([("source", name.as_str())], &source.first_byte));
    page.histograms("sumgate_upstream_request_duration_seconds", "Time until the first byte of the answer.", series)?;
    let of = |number: fn(&SourceTotals) -> &Counter| {
        all.iter().map(move |(name, source)| ([("source", name.as_str())], number(source).get()))
    };
    page.counters(
        "sumgate_upstream_wrong_bytes",
        "Files with another hash than the expected one.",
        of(|source| &source.wrong_bytes),
    )?;
    page.gauges("sumgate_upstream_requests_in_flight", "Requests without a result.", of(|source| &source.in_flight))?;
    let known = || gauges.sources.iter();
    let series = known().map(|source| ([("source", source.name.as_str())], u64::from(source.is_available)));
    page.gauges(
        "sumgate_upstream_available",
        "Whether the upstream is used: it works, and sent no wrong bytes recently.",
        series,
    )?;
    let series = known().map(|source| ([("source", source.name.as_str())], source.waiting));
    page.gauges("sumgate_upstream_requests_waiting", "Requests that wait for a slot of the upstream.", series)
}

fn proofs(page: &mut Page<'_, '_>, totals: &Totals) -> fmt::Result {
    let series = ["right", "wrong"].into_iter().zip(&totals.proofs);
    let series = series.map(|(result, counter)| ([("result", result)], counter.get()));
    page.counters("sumgate_proofs", "Files whose hash was compared with the proved or pinned one.", series)
}

fn databases(page: &mut Page<'_, '_>, gauges: &Gauges) -> fmt::Result {
    let all = || gauges.databases.iter();
    let series = all().map(|database| ([("database", database.name.as_str())], database.tree_size));
    page.gauges("sumgate_sumdb_tree_size", "Records in the trusted tree of the database.", series)?;
    let ages = || all().filter_map(|database| Some(([("database", database.name.as_str())], database.head_age?)));
    let series = ages().map(|(label, (age, _))| (label, age.as_secs()));
    let help = "Time since the database last showed a tree head to this process, or since the start.";
    page.gauges("sumgate_sumdb_head_age_seconds", help, series)?;
    let series = ages().map(|(label, (_, max))| (label, max.as_secs()));
    page.gauges("sumgate_sumdb_max_head_age_seconds", "The age at which the mirror is not ready.", series)?;
    let series = all().map(|database| ([("database", database.name.as_str())], u64::from(database.is_forked)));
    page.gauges("sumgate_sumdb_forked", "Whether the database signed two histories.", series)
}

fn machine(page: &mut Page<'_, '_>, totals: &Totals, gauges: &Gauges) -> fmt::Result {
    page.gauges("sumgate_ready", "Whether /readyz answers 200.", one(u64::from(gauges.is_ready)))?;
    let free = gauges.disk.into_iter().flat_map(|(free, _)| one(free));
    page.gauges("sumgate_disk_free_bytes", "Free space where the data folder is.", free)?;
    let size = gauges.disk.into_iter().flat_map(|(_, size)| one(size));
    page.gauges("sumgate_disk_size_bytes", "Space where the data folder is, free or not.", size)?;
    let files = gauges.quarantine_files.into_iter().flat_map(one);
    page.gauges("sumgate_quarantine_files", "Files with wrong bytes in quarantine.", files)?;
    let lost = totals.events_lost.get();
    page.counters("sumgate_events_lost", "Events that the disk did not take for the event log.", one(lost))?;
    page.gauges("sumgate_http_connections", "Open connections of clients.", one(gauges.connections))?;
    page.gauges("sumgate_hashing_files", "Zips that are being hashed.", one(gauges.hashing))?;
    let started = totals.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    page.gauges("process_start_time_seconds", "Start time of the process, by the Unix clock.", one(started.as_secs()))
}

/// A series without labels.
fn one(value: u64) -> [([(&'static str, &'static str); 0], u64); 1] {
    [([], value)]
}

/// Writes families of series.
struct Page<'p, 'e>(&'p mut DescriptorEncoder<'e>);

impl Page<'_, '_> {
    /// `name` is without `_total`.
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, series, |encoder, value| {
            encoder.encode_counter(&value, None::<&Exemplar<NoLabelSet, u64>>)
        })
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, series, |encoder, value| encoder.encode_gauge(&value))
    }

    fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, series, |encoder, histogram| {
            let buckets = histogram.buckets();
            let count = buckets.iter().map(|(_, many)| many).sum();
            encoder.encode_histogram::<NoLabelSet>(histogram.sum(), count, &buckets, None)
        })
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, String)]) -> fmt::Result {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }

    fn family<L: EncodeLabelSet, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: impl IntoIterator<Item = (L, V)>,
        write: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in series {
            write(&mut family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn text(metrics: &Metrics, format: Format) -> String {
        expose(metrics, Gauges::default(), &[("version", "1".to_owned())], format).unwrap()
    }

    #[test]
    fn every_series_exists_before_anything_happened() {
        let metrics = Metrics::counting(&["wrong-bytes"], SystemTime::UNIX_EPOCH);
        metrics.source("https://a.example").unwrap();
        let text = text(&metrics, Format::Prometheus);
        for series in [
            "sumgate_http_requests_total{route=\"zip\",status=\"403\"} 0",
            "sumgate_refusals_total{code=\"wrong-bytes\"} 0",
            "sumgate_upstream_requests_total{source=\"https://a.example\",outcome=\"timeout\"} 0",
            "sumgate_upstream_wrong_bytes_total{source=\"https://a.example\"} 0",
            "sumgate_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"other\"} 0",
            "sumgate_build_info{version=\"1\"} 1",
        ] {
            let parts = series.split_once('{').map(|(name, rest)| (name, rest.trim_end_matches(|c| c != '}'))).unwrap();
            let labels: Vec<&str> = parts.1.trim_end_matches('}').split(',').collect();
            let is_it = |line: &&str| {
                line.starts_with(&format!("{}{{", parts.0)) && labels.iter().all(|label| line.contains(label))
            };
            let found = text.lines().find(is_it).unwrap_or_else(|| panic!("{series} is missing: {text}"));
            assert_eq!(found.rsplit(' ').next(), series.rsplit(' ').next(), "{found}");
        }
    }

    #[test]
    fn both_formats_name_a_counter_alike() {
        let metrics = Metrics::counting(&["no-hash"], SystemTime::UNIX_EPOCH);
        metrics.request_answered(RequestKind::Zip, 403, Some("no-hash"), Duration::from_millis(3));
        metrics.request_answered(RequestKind::Zip, 599, Some("unknown"), Duration::from_millis(3));
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let text = text(&metrics, format);
            assert!(text.contains("\nsumgate_refusals_total{code=\"no-hash\"} 1\n"), "{text}");
            assert!(text.contains("sumgate_http_requests_total{route=\"zip\",status=\"other\"} 1\n"), "{text}");
            assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics, "{text}");
        }
        assert_eq!(
            Format::accepted("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
            Format::OpenMetrics
        );
        assert_eq!(Format::accepted("text/plain"), Format::Prometheus);
    }

    #[test]
    fn the_default_counts_nothing() {
        assert!(Metrics::default().source("https://a.example").is_none());
        assert_eq!(expose(&Metrics::default(), Gauges::default(), &[], Format::Prometheus), None);
    }
}
