"""Telemetry: events as OpenTelemetry's spans and metrics.

A span needs a beginning, and an event tells of an end; but it says how long it took. So spans are made afterwards, with
times of their own: what was asked of servers is kept until the renewal is over, and becomes its children.
"""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from gatepass.core.world import Fact
    from gatepass.engine.event import Event

__all__ = ["Telemetry"]

_NS = 1_000_000_000


class _Asked(threading.local):
    """What this thread has asked of servers since its last renewal. One renewal is one thread's, from end to end."""

    def __init__(self) -> None:
        self.events: list[Event] = []


class Telemetry:
    """Listens to events, and makes spans and metrics of them: ``Auth(..., on_event=gatepass.Telemetry())``.

    One object may serve many `Auth`s. Metrics carry the resource, never an identity; spans carry both.

    Args:
        tracer_provider: where spans go; the global one if left out.
        meter_provider: where metrics go; the global one if left out.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ModuleNotFoundError as missing:
            msg = "gatepass.Telemetry needs OpenTelemetry: pip install 'gatepass[otel]'"
            raise ImportError(msg) from missing
        self._trace = trace
        self._tracer = trace.get_tracer("gatepass", _version(), tracer_provider)
        self._asked = _Asked()
        meter = metrics.get_meter("gatepass", _version(), meter_provider)
        self._mints = meter.create_counter("gatepass.mints", "{token}", "Tokens obtained")
        self._failures = meter.create_counter(
            "gatepass.failures", "{attempt}", "Attempts that failed, by class and code"
        )
        self._warnings = meter.create_counter("gatepass.warnings", "{warning}", "What the log warned of, by code")
        self._rejections = meter.create_counter("gatepass.rejections", "{token}", "Tokens that the resource refused")
        self._leases = meter.create_counter("gatepass.leases", "{attempt}", "Attempts to take the lease, by outcome")
        self._mint_s = meter.create_histogram("gatepass.mint.duration", "s", "How long an attempt took, by outcome")
        self._wait_s = meter.create_histogram("gatepass.wait.duration", "s", "How long callers waited, by outcome")
        self._age_s = meter.create_histogram("gatepass.token.age", "s", "How old a token was when it was used")

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        where: dict[str, Fact] = {"gatepass.resource": event.resource}
        facts = event.facts
        if event.level == "warning":
            self._warnings.add(1, _labels(where, code=event.code))
        match event.code:
            case "token_used":
                self._age_s.record(_seconds(facts, "age_s"), _labels(where))
            case "token_obtained":
                self._mints.add(1, _labels(where, by=facts.get("by")))
                self._mint_s.record(_seconds(facts, "took_s"), _labels(where, outcome="token"))
                self._renewal(event)
            case "attempt_failed":
                why = {name: facts.get(name) for name in ("kind", "code", "error")}
                self._failures.add(1, _labels(where, **why))
                self._mint_s.record(_seconds(facts, "took_s"), _labels(where, outcome=facts.get("code")))
                self._renewal(event)
            case "answered" | "unanswered":
                self._asked.events.append(event)
            case "waited":
                self._wait_s.record(_seconds(facts, "waited_s"), _labels(where, outcome=facts.get("code", "token")))
                self._span("gatepass.wait", event, "waited_s")
            case "token_rejected":
                self._rejections.add(1, _labels(where))
            case "lease_taken" | "lease_busy":
                self._leases.add(1, _labels(where, outcome=event.code.removeprefix("lease_")))
            case _:
                pass

    def _renewal(self, event: Event) -> None:
        """One attempt at a renewal, and under it what was asked of servers meanwhile."""
        asked, self._asked.events = self._asked.events, []
        began_at = event.at - _seconds(event.facts, "took_s")
        context = self._span("gatepass.mint", event, "took_s", nobody=True)
        for request in asked:
            if request.at >= began_at:
                self._span(str(request.facts["method"]), request, "took_s", context, since=began_at)

    def _span(
        self,
        name: str,
        event: Event,
        took: str,
        context: Context | None = None,
        *,
        nobody: bool = False,
        since: float = 0.0,
    ) -> Context:
        """A span that ends with the event.

        Args:
            name: its name.
            event: what it ended with.
            took: the fact that says how long it took.
            context: the span above it; the caller's if left out ...
            nobody: ... or none: a renewal belongs to nobody's request.
            since: it did not begin before that: durations are of another clock, and differ by a hair.
        """
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, Status, StatusCode

        end_ns = int(event.at * _NS)
        span = self._tracer.start_span(
            name,
            Context() if nobody else context,
            SpanKind.CLIENT if "method" in event.facts else SpanKind.INTERNAL,
            attributes=_attributes(event),
            start_time=int(max(since, event.at - _seconds(event.facts, took)) * _NS),
        )
        if "code" in event.facts:
            span.set_status(Status(StatusCode.ERROR, event.text))
        span.end(end_ns)
        return self._trace.set_span_in_context(span)


_HTTP = {"method": "http.request.method", "url": "url.full", "status": "http.response.status_code"}
"""What OpenTelemetry's conventions for HTTP call it."""


def _attributes(event: Event) -> dict[str, str | float | bool]:
    names = {name: _HTTP.get(name, f"gatepass.{name}") for name in event.facts}
    facts = {names[name]: fact for name, fact in event.facts.items() if fact is not None}
    error = {"error.type": str(event.facts["code"])} if "code" in event.facts else {}
    return {"gatepass.resource": event.resource, "gatepass.identity": event.identity, **facts, **error}


def _labels(where: Mapping[str, Fact], **more: Fact) -> dict[str, str | float | bool]:
    labels = {**where, **{f"gatepass.{name}": fact for name, fact in more.items()}}
    return {name: fact for name, fact in labels.items() if fact is not None}


def _seconds(facts: Mapping[str, Fact], name: str) -> float:
    seconds = facts.get(name)
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def _version() -> str:
    try:
        return version("gatepass")
    except PackageNotFoundError:  # a program frozen into one file
        return ""
