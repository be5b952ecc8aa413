"""Figures for Prometheus, read from the database as they are asked for: alike whichever process answers.

Nobody is named in them: sources by their ids, editions by their dates, everything else is a number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from digest import __version__
from digest.models import RunStatus
from digest.operate.incidents import find_incidents, read_standing
from digest.operate.status import read_status

if TYPE_CHECKING:
    from digest.app import App
    from digest.models import Report

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Each figure's labels, and what it says.
FIGURES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "digest_info": (("version",), "The program, by its version."),
    "digest_last_success_timestamp_seconds": ((), "When an edition was sent last."),
    "digest_next_edition_due_timestamp_seconds": ((), "When the next one is due."),
    "digest_incidents": (("kind",), "What the operator is told of, by kind."),
    "digest_deliveries": (("edition", "cadence", "state"), "Deliveries of the last editions, by state."),
    "digest_deliveries_unknown": ((), "Deliveries of the last editions that may have been made."),
    "digest_oldest_claim_seconds": ((), "For how long a batch has been claimed and not settled."),
    "digest_subscribers": (("state",), "Readers, by state."),
    "digest_sources_failing": ((), "Sources whose last visit failed."),
    "digest_source_failures": (("source",), "Visits that failed in a row, by source."),
    "digest_entries": (("source",), "Entries of the last 30 days, by source."),
    "digest_last_run_timestamp_seconds": ((), "When the newest run ended."),
    "digest_last_run_status": (("status",), "1 for how the newest run ended."),
    "digest_stage_seconds": (("stage",), "How long each stage of the newest run that did something took."),
    "digest_summaries": (("kind",), "Items of the newest run that did something, by how they are said."),
    "digest_processes": ((), "Servers and workers that showed themselves."),
    "digest_tasks_waiting": (("kind",), "Tasks that wait for a worker, by kind."),
    "digest_tasks_set_aside": ((), "Tasks that failed too often."),
}
_SUMMARIZE: Final = "summarize"


def read_metrics(app: "App") -> bytes:
    """All of them, in Prometheus' text format. Raises StoreError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(_list_metrics(app))))
    return generate_latest(registry)


class _Collected(Collector):
    """What a registry asks once."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _list_metrics(app: "App") -> Iterator[Metric]:
    found, now = read_status(app), app.clock()
    slug = app.config.newsletter.slug
    yield InfoMetricFamily("digest", FIGURES["digest_info"][1], {"version": __version__})
    if last := found["last_run"]:
        yield from _measure_end(last)
    if worked := app.store.runs.last(slug, has_stages=True):
        yield from _measure_stages(worked[1])
    yield from _measure_editions(found)
    if sent_at := app.store.editions.last_sent_at(slug):  # also when it was long ago
        yield _one("digest_last_success_timestamp_seconds", sent_at)
    yield from _measure_sources(found)
    yield _gauge("digest_subscribers", found["subscribers"])
    if found["next_due_at"]:
        yield _one("digest_next_edition_due_timestamp_seconds", found["next_due_at"])
    yield from _measure_work(found)
    yield _gauge("digest_incidents", Counter(one.kind for one in find_incidents(read_standing(app, now))))


def _measure_end(last: Mapping[str, Any]) -> Iterator[Metric]:
    yield _one("digest_last_run_timestamp_seconds", last["finished_at"])
    states = {status: float(last["status"] == status) for status in get_args(RunStatus)}
    yield _gauge("digest_last_run_status", states)


def _measure_stages(report: "Report") -> Iterator[Metric]:
    seconds: dict[str, float] = {}
    for stage in report.stages:
        seconds[stage.stage] = seconds.get(stage.stage, 0.0) + stage.seconds
    yield _gauge("digest_stage_seconds", seconds)
    said = next((stage.counts for stage in report.stages if stage.stage == _SUMMARIZE), {})
    yield _gauge("digest_summaries", said)


def _measure_editions(found: Mapping[str, Any]) -> Iterator[Metric]:
    deliveries = _family("digest_deliveries")
    unknown, oldest = 0, 0
    for stored in found["editions"]:
        for state, number in stored["deliveries"].items():
            deliveries.add_metric([f"{stored['date']}", stored["cadence"], state], number)
        unknown += stored["deliveries"].get("unknown", 0)
        oldest = max(oldest, stored["oldest_claim_seconds"] or 0)
    yield deliveries
    yield _one("digest_deliveries_unknown", unknown)
    yield _one("digest_oldest_claim_seconds", oldest)


def _measure_sources(found: Mapping[str, Any]) -> Iterator[Metric]:
    sources = found["sources"]
    entries = {one["id"]: one["entries"] for one in sources}
    failures = {one["id"]: one["failures"] for one in sources}
    failing = sum(number > 0 for number in failures.values())
    yield _gauge("digest_entries", entries)
    yield _gauge("digest_source_failures", failures)
    yield _one("digest_sources_failing", failing)


def _measure_work(found: Mapping[str, Any]) -> Iterator[Metric]:
    yield _one("digest_processes", len(found["workers"]))
    if found["tasks"] is None:
        return
    yield _gauge("digest_tasks_waiting", found["tasks"]["waiting"])
    yield _one("digest_tasks_set_aside", found["tasks"]["set_aside_total"])


def _family(name: str) -> GaugeMetricFamily:
    labels, words = FIGURES[name]
    return GaugeMetricFamily(name, words, labels=labels)


def _gauge(name: str, values: Mapping[Any, float]) -> GaugeMetricFamily:
    """A figure with one label."""
    family = _family(name)
    for value, number in values.items():
        family.add_metric([str(value)], float(number))
    return family


def _one(name: str, value: float | datetime) -> GaugeMetricFamily:
    """A figure without any."""
    family = _family(name)
    family.add_metric([], value.timestamp() if isinstance(value, datetime) else float(value))
    return family
