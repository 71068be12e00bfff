"""Events as OpenTelemetry sees them, with its own SDK and exporters in memory."""

from __future__ import annotations

import builtins
from typing import Any

import httpx2
import pytest
from canary import assert_hidden
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import gatepass
from gatepass.engine.wording import still_usable

RESOURCE, ISSUER = "https://mcp.example.com/mcp", "https://as.example.com"
METADATA = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}
TOKEN = {"access_token": "CANARY-token", "token_type": "Bearer", "expires_in": 300}


class Seen:
    """Whatever was exported."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = gatepass.Telemetry(
            tracer_provider=self.tracers, meter_provider=MeterProvider(metric_readers=[self.reader])
        )

    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def metrics(self) -> dict[str, list[Any]]:
        read = self.reader.get_metrics_data()
        scopes = [scope for resource in read.resource_metrics for scope in resource.scope_metrics] if read else []
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def seen() -> Seen:
    return Seen()


def an_auth(seen: Seen, *answers: httpx2.Response, **options: Any) -> gatepass.Auth:
    """One whose authorization server gives these answers to token requests."""
    replies = list(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return replies.pop(0)
        if "oauth-protected-resource" in request.url.path:
            return httpx2.Response(200, json={"resource": RESOURCE, "authorization_servers": [ISSUER]})
        return httpx2.Response(200, json=METADATA)

    return gatepass.Auth(
        RESOURCE,
        gatepass.ClientCredentials(gatepass.ClientSecret("ci", "CANARY-secret")),
        issuer=ISSUER,
        scopes=["mcp:read"],
        http=gatepass.TokenHttp(transport=httpx2.MockTransport(handle)),
        on_event=seen.telemetry,
        **options,
    )


def test_a_renewal_is_a_span_with_what_was_asked_of_servers_under_it(seen: Seen) -> None:
    an_auth(seen, httpx2.Response(200, json=TOKEN)).token()
    mint = seen.spans()["gatepass.mint"]
    assert mint.parent is None
    assert mint.status.status_code is StatusCode.UNSET
    assert (mint.attributes["gatepass.by"], mint.attributes["gatepass.generation"]) == ("ClientCredentials", 1)
    under = [span for span in seen.exporter.get_finished_spans() if span.parent and span.parent == mint.context]
    assert [(span.name, span.kind) for span in under] == [("GET", SpanKind.CLIENT)] * 2 + [("POST", SpanKind.CLIENT)]
    assert all(mint.start_time <= span.start_time <= span.end_time <= mint.end_time for span in under)
    asked = [(span.attributes["url.full"], span.attributes["http.response.status_code"]) for span in under]
    assert asked[-1] == (f"{ISSUER}/token", 200)


def test_a_callers_wait_stands_in_its_own_trace(seen: Seen) -> None:
    auth = an_auth(seen, httpx2.Response(200, json=TOKEN))
    with seen.tracers.get_tracer("test").start_as_current_span("the caller's") as caller:
        auth.token()
    spans = seen.spans()
    assert spans["gatepass.wait"].parent == caller.get_span_context()
    assert spans["gatepass.mint"].parent is None


def test_what_fails_is_an_error_with_its_class_and_code(seen: Seen) -> None:
    auth = an_auth(seen, httpx2.Response(401, json={"error": "invalid_client"}))
    with pytest.raises(gatepass.RemoteError):
        auth.token()
    mint = seen.spans()["gatepass.mint"]
    assert mint.status.status_code is StatusCode.ERROR
    assert mint.attributes["error.type"] == "token_refused"
    (failure,) = seen.metrics()["gatepass.failures"]
    assert (failure.value, dict(failure.attributes)) == (
        1,
        {
            "gatepass.resource": RESOURCE,
            "gatepass.kind": "RemoteError",
            "gatepass.code": "token_refused",
            "gatepass.error": "invalid_client",
        },
    )
    assert not {"gatepass.mints", "gatepass.warnings"} & set(seen.metrics())


def test_what_the_log_warns_of_is_counted(seen: Seen) -> None:
    auth = an_auth(seen, httpx2.Response(200, json=TOKEN))
    auth.token()
    auth._source.world.notice(still_usable(gatepass.RemoteError("No.", code="token_refused")))
    assert [(point.attributes["gatepass.code"], point.value) for point in seen.metrics()["gatepass.warnings"]] == [
        ("renewal_failed", 1)
    ]


def test_mints_waits_ages_leases_and_refusals_are_counted(seen: Seen, tmp_path: Any) -> None:
    answers = [httpx2.Response(200, json={**TOKEN, "access_token": f"CANARY-{number}"}) for number in range(2)]
    auth = an_auth(seen, *answers, store=gatepass.FileStore(tmp_path / "store"))
    for _ in range(3):
        assert auth.headers("POST", RESOURCE)
    auth.rejected(auth.token())
    auth.token()
    values = seen.metrics()
    assert [point.value for point in values["gatepass.mints"]] == [2]
    assert [point.value for point in values["gatepass.rejections"]] == [1]
    assert [(p.attributes["gatepass.outcome"], p.value) for p in values["gatepass.leases"]] == [("taken", 2)]
    assert [(p.attributes["gatepass.outcome"], p.count) for p in values["gatepass.mint.duration"]] == [("token", 2)]
    assert [(p.attributes["gatepass.outcome"], p.count) for p in values["gatepass.wait.duration"]] == [("token", 2)]
    assert [point.count for point in values["gatepass.token.age"]] == [5]


def test_requests_of_a_client_count_as_uses(seen: Seen) -> None:
    auth = an_auth(seen, httpx2.Response(200, json=TOKEN))
    with httpx2.Client(auth=auth, transport=httpx2.MockTransport(lambda _: httpx2.Response(200))) as http:
        for _ in range(4):
            http.get(RESOURCE)
        http.get("https://elsewhere.example.com/")
    assert [point.count for point in seen.metrics()["gatepass.token.age"]] == [4]


def test_no_secret_is_exported(seen: Seen) -> None:
    auth = an_auth(seen, httpx2.Response(401, json={"error": "invalid_client"}), httpx2.Response(200, json=TOKEN))
    with pytest.raises(gatepass.RemoteError) as failure:
        auth.token()
    assert_hidden(failure.value, "CANARY")
    exported = [span.to_json() for span in seen.exporter.get_finished_spans()]
    assert exported
    assert "CANARY" not in "".join(exported) + str(seen.metrics())


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name=name)
        return usual(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'gatepass\[otel\]'"):
        gatepass.Telemetry()


def test_what_can_not_be_called_is_refused() -> None:
    for wrong in (7, "print", gatepass.Telemetry):
        with pytest.raises(gatepass.ConfigurationError, match="on_event") as failure:
            gatepass.Auth(
                RESOURCE,
                gatepass.ClientCredentials(gatepass.PublicClient("ci")),
                issuer=ISSUER,
                on_event=wrong,  # type: ignore[arg-type]
            )
        assert failure.value.code == "on_event_invalid"
