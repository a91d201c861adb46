//! The text. docs/metrics.md has the same names; a test holds them against each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcphub_core::event::Circuit;
use mcphub_core::server::ServerName;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text as format};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::meter::{BOUNDS, CallKind, Ended, Meter};
use super::process::Process;
use super::{MAX_NAMED, Metrics, STATUSES};
use crate::gateway::Inner;
use crate::roster::{ServerHealth, ServerState};

/// The name of all servers that are not counted each for itself, which none can have.
const OTHERS: &str = "(others)";

const STATES: [(ServerState, &str); 4] = [
    (ServerState::Listing, "listing"),
    (ServerState::Ready, "ready"),
    (ServerState::Unreachable, "unreachable"),
    (ServerState::Down, "down"),
];

/// All that is counted, as OpenMetrics text.
pub(super) fn text(gateway: Arc<Inner>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(gateway)));
    let mut text = String::new();
    format::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Exposition(Arc<Inner>);

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        let metrics = &self.0.metrics;
        requests(&mut out, &metrics.by_name())?;
        servers(&mut out, &self.0.roster.health().1)?;
        clients(&mut out, &self.0, metrics)?;
        process(&mut out)
    }
}

impl Metrics {
    /// The servers that are counted, by name.
    fn by_name(&self) -> Vec<(String, Arc<Meter>)> {
        let servers = self.servers();
        let named = servers.iter();
        let mut meters: Vec<_> = named
            .map(|(name, meter)| (name.to_string(), Arc::clone(meter)))
            .collect();
        drop(servers);
        meters.sort_by(|one, other| one.0.cmp(&other.0));
        meters.push((OTHERS.to_owned(), Arc::clone(&self.others)));
        meters
    }
}

/// What servers were asked, and how that went.
fn requests(out: &mut Out<'_>, meters: &[(String, Arc<Meter>)]) -> fmt::Result {
    let meters = || meters.iter().map(|(name, meter)| (name.as_str(), meter));
    let of_kinds =
        || meters().flat_map(|(name, meter)| CallKind::ALL.map(|kind| (name, meter, kind)));
    let ended = of_kinds().flat_map(|(server, meter, kind)| {
        Ended::ALL.map(|ended| {
            let labels = [
                ("server", server),
                ("kind", kind.as_str()),
                ("outcome", ended.as_str()),
            ];
            (labels, meter.count(kind, ended))
        })
    });
    out.counters(
        "mcphub_requests",
        "Requests that servers were to answer, by how they ended",
        ended.filter(|(_, count)| *count > 0),
    )?;
    let times = of_kinds().filter_map(|(server, meter, kind)| {
        let times = meter.times(kind)?;
        let asked = times.places.iter().any(|count| *count > 0);
        asked.then_some((
            [("server", server), ("kind", kind.as_str())],
            times.places,
            times.sum,
        ))
    });
    out.histograms(
        "mcphub_request",
        "How long they took, with the time in which clients were asked for input",
        times,
    )?;
    let running = meters().map(|(server, meter)| ([("server", server)], meter.running()));
    out.gauges(
        "mcphub_requests_running",
        "Requests that servers are answering",
        running.filter(|(_, count)| *count > 0),
    )?;
    let lists = meters().flat_map(|(server, meter)| {
        meter
            .lists()
            .map(|(outcome, count)| ([("server", server), ("outcome", outcome)], count))
    });
    out.counters(
        "mcphub_server_lists",
        "How often servers were asked for what they have, by whether they said it",
        lists.filter(|(_, count)| *count > 0),
    )?;
    let lookups = meters().flat_map(|(server, meter)| {
        meter
            .lookups()
            .map(|(outcome, count)| ([("server", server), ("outcome", outcome)], count))
    });
    out.counters(
        "mcphub_cache_lookups",
        "How often it was looked for an answer that is kept, by what came of it",
        lookups.filter(|(_, count)| *count > 0),
    )?;
    let circuits = [Circuit::Closed, Circuit::Open, Circuit::HalfOpen];
    let turns = meters().flat_map(|(server, meter)| {
        circuits.map(|to| ([("server", server), ("to", word(to))], meter.turns(to)))
    });
    out.counters(
        "mcphub_circuit_turns",
        "How often circuits turned",
        turns.filter(|(_, count)| *count > 0),
    )
}

/// How servers are.
fn servers(out: &mut Out<'_>, servers: &[ServerHealth]) -> fmt::Result {
    let states = STATES.map(|(state, name)| {
        let count = servers
            .iter()
            .filter(|server| server.state == state)
            .count();
        ([("state", name)], count as u64)
    });
    out.gauges("mcphub_servers", "Servers by what is known of them", states)?;
    let named = || servers.iter().take(MAX_NAMED);
    let label = |name: &'_ ServerName| [("server", name.to_string())];
    let up = named().map(|server| {
        let up = matches!(server.state, ServerState::Listing | ServerState::Ready);
        (label(&server.name), u64::from(up))
    });
    out.gauges(
        "mcphub_server_up",
        "0 for a server that is down or did not list what it has when it was asked last",
        up,
    )?;
    let circuits = named().map(|server| {
        let state = match server.circuit {
            Circuit::Closed => 0,
            Circuit::HalfOpen => 1,
            _ => 2,
        };
        (label(&server.name), state)
    });
    out.gauges(
        "mcphub_circuit_state",
        "0: called; 1: tried with the next call; 2: not called",
        circuits,
    )?;
    let tools = named().map(|server| (label(&server.name), server.tools as u64));
    out.gauges("mcphub_server_tools", "Tools that are served", tools)?;
    let waiting = named().map(|server| (label(&server.name), server.waiting as u64));
    out.gauges(
        "mcphub_server_tools_waiting",
        "Tools that wait for approval",
        waiting,
    )
}

/// What goes on with clients, and what they are listed.
fn clients(out: &mut Out<'_>, gateway: &Inner, metrics: &Metrics) -> fmt::Result {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let codes = STATUSES.map(|status| status.to_string()).into_iter();
    let codes = codes.chain(["other".to_owned()]);
    let answers = codes.zip(metrics.answers.iter().map(count));
    let answers = answers.map(|(code, count)| ([("code", code)], count));
    out.counters(
        "mcphub_http_answers",
        "Answers to clients over HTTP, by status",
        answers.filter(|(_, count)| *count > 0),
    )?;
    let streams = gateway.settings.max_streams;
    let open = streams.saturating_sub(gateway.streams.available_permits());
    out.gauge(
        "mcphub_streams_open",
        "Subscriptions and streams of sessions that are open",
        open as u64,
    )?;
    out.counter(
        "mcphub_sessions_begun",
        "Sessions of before 2026-07-28 that began here",
        count(&metrics.sessions_begun),
    )?;
    out.counter(
        "mcphub_sessions_ended",
        "Sessions that clients ended here",
        count(&metrics.sessions_ended),
    )?;
    out.counter(
        "mcphub_snapshots",
        "How often the lists of all servers were made anew",
        count(&metrics.snapshots),
    )?;
    let making = Duration::from_micros(count(&metrics.snapshot_micros));
    out.seconds(
        "mcphub_snapshot_making",
        "How long making them took, all together",
        making,
    )?;
    out.counter(
        "mcphub_catalogs",
        "How often what is registered was read, because it had changed",
        count(&metrics.catalogs),
    )?;
    let reading = Duration::from_micros(count(&metrics.catalog_micros));
    out.seconds(
        "mcphub_catalog_reading",
        "How long that took until it was served, all together",
        reading,
    )?;
    if let Some(calls) = &gateway.calls {
        let [noted, dropped, waiting] = calls.counts();
        let counts = [("noted", noted), ("dropped", dropped)];
        out.counters(
            "mcphub_audit_calls",
            "Calls for the audit log, by whether they are in it",
            counts.map(|(outcome, count)| ([("outcome", outcome)], count)),
        )?;
        let help = "Calls that wait to be written into the audit log";
        out.gauge("mcphub_audit_calls_waiting", help, waiting)?;
    }
    out.gauge(
        "mcphub_catalog_readable",
        "0 while the catalogue cannot be read, and what was read last is served",
        u64::from(gateway.sees_catalog()),
    )
}

fn process(out: &mut Out<'_>) -> fmt::Result {
    let Process {
        resident,
        peak,
        threads,
        open_files,
    } = Process::read();
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Memory that it has",
            resident,
        ),
        (
            "process_resident_memory_peak_bytes",
            "The most that it had",
            peak,
        ),
        ("process_threads", "Threads", threads),
        ("process_open_fds", "Open files and connections", open_files),
    ] {
        if let Some(value) = value {
            out.gauge(name, help, value)?;
        }
    }
    Ok(())
}

fn word(circuit: Circuit) -> &'static str {
    match circuit {
        Circuit::Closed => "closed",
        Circuit::Open => "open",
        Circuit::HalfOpen => "half_open",
        _ => "other",
    }
}

/// Metrics one after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn seconds(&mut self, name: &str, help: &str, value: Duration) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value.as_secs_f64(), None)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    fn histograms<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, [u64; BOUNDS.len() + 1], Duration)>,
    ) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Histogram)?;
        let bounds = BOUNDS.map(|bound| Duration::from_micros(bound).as_secs_f64());
        for (labels, places, sum) in values {
            let bounds = bounds.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(places).collect();
            let (sum, count) = (sum.as_secs_f64(), places.iter().sum());
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
