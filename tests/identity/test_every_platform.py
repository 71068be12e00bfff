"""What every platform's source promises, each against a stand-in that speaks the platform's protocol on a socket."""

from __future__ import annotations

import logging
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from canary import assert_hidden
from identity.stand_ins.aws import Sts
from identity.stand_ins.azure import Azure
from identity.stand_ins.github import GitHub
from identity.stand_ins.google import Google
from identity.stand_ins.kept import Aks, GitLab, Kubelet
from identity.stand_ins.place import BROKEN_JSON, CUT_OFF, ECHO, HTML, NO_HTTP
from identity.stand_ins.spire import Agent
from identity.stand_ins.tokens import AUDIENCE, bottomless, expired, for_another, issued, none_at_all

from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.identity import (
    AwsWebIdentity,
    AzureManagedIdentity,
    AzureWorkload,
    GitHubActions,
    GitLabCI,
    GoogleCloud,
    KubernetesToken,
    Platform,
    Spiffe,
)

KEPT = {"gitlab": GitLab, "kubernetes": Kubelet, "aks": Aks}
ON_HTTP = {"github": GitHub, "google": Google, "azure": Azure, "aws": Sts}
COMPARED = [*KEPT, "github", "google", "aws", "spiffe"]
ASKED = [*ON_HTTP, "spiffe"]
ALL = [*KEPT, *ASKED]
KINDS: list[type[Platform]] = [
    AwsWebIdentity,
    AzureManagedIdentity,
    AzureWorkload,
    GitHubActions,
    GitLabCI,
    GoogleCloud,
    KubernetesToken,
    Spiffe,
]


@pytest.fixture
def place(request, monkeypatch, tmp_path):
    if request.param in KEPT:
        yield KEPT[request.param](monkeypatch, tmp_path)
        return
    kind = ON_HTTP.get(request.param)
    with Agent(monkeypatch, tmp_path) if kind is None else kind(monkeypatch) as place:
        yield place


def at(places):
    return pytest.mark.parametrize("place", places, indirect=True)


def refused(place, *, timeout_s: float = 30.0) -> GatepassError:
    """The error of a call, which shows nothing that it should not."""
    with pytest.raises(GatepassError) as caught:
        place.source(timeout_s=timeout_s)(AUDIENCE)
    error = caught.value
    signatures = (token.rpartition(".")[2] for token in place.given)
    assert_hidden(error, ECHO.decode(), *place.secrets, *place.given, *signatures)
    assert error.__context__ is None
    assert place.kind.name in str(error)
    return error


@at(ALL)
def test_the_token_is_one_for_the_audience(place):
    token = place.source()(AUDIENCE)
    assert [token] == place.given
    assert place.asked == [AUDIENCE]


@at(ALL)
def test_each_call_fetches_a_new_token(place):
    source = place.source()
    first = source(AUDIENCE)
    place.give(issued)
    second = source(AUDIENCE)
    assert [first, second] == place.given
    assert first != second


@at(ALL)
def test_several_threads_may_call_it_at_once(place):
    source = place.source()
    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(source, [AUDIENCE] * 4))
    assert set(tokens) == set(place.given)


@at(ALL)
def test_one_of_several_audiences_is_enough(place):
    place.give(lambda audience: issued(["https://another.example.com", audience]))
    assert place.source()(AUDIENCE) == place.given[-1]


@at(COMPARED)
def test_a_token_for_somebody_else_is_not_given_away(place):
    place.give(for_another)
    error = refused(place)
    assert isinstance(error, ConfigurationError)
    assert error.code == "workload_token_audience"
    assert AUDIENCE in str(error)


@at(ALL)
def test_a_token_that_has_expired_is_not_given_away(place):
    place.give(expired)
    error = refused(place)
    assert isinstance(error, ConfigurationError)
    assert error.code == "workload_token_expired"
    assert "clock" in str(error)


@at(ALL)
@pytest.mark.parametrize(
    "garbled",
    [none_at_all, bottomless, lambda _: "canary.canary.canary", lambda _: issued(AUDIENCE).rpartition(".")[0]],
    ids=["text", "deep", "dots", "cut"],
)
def test_what_is_no_jwt_is_not_given_away(place, garbled):
    place.give(garbled)
    error = refused(place)
    assert isinstance(error, ConfigurationError)
    assert error.code == "workload_token_invalid"


@at(ASKED)
def test_a_platform_that_hangs_is_not_waited_for(place):
    place.hang()
    error = refused(place, timeout_s=0.3)
    assert isinstance(error, UnreachableError)
    assert (error.code, error.retryable) == ("timeout", True)
    assert "0.3 s" in str(error)


@at(ASKED)
@pytest.mark.parametrize("status", [429, 500])
def test_a_platform_in_trouble_may_be_asked_again(place, status):
    place.fail(status)
    error = refused(place)
    assert isinstance(error, UnreachableError)
    assert (error.code, error.retryable) == ("workload_token_unavailable", True)


@at(ASKED)
def test_a_refusal_is_final(place):
    place.fail(403)
    error = refused(place)
    assert isinstance(error, ConfigurationError)
    assert (error.code, error.retryable) == ("workload_token_refused", False)


@at(ON_HTTP)
@pytest.mark.parametrize("raw", [HTML, BROKEN_JSON, CUT_OFF, NO_HTTP, b""], ids=["html", "json", "cut", "noise", "end"])
def test_an_answer_that_makes_no_sense_may_be_asked_for_again(place, raw):
    place.say(raw)
    error = refused(place)
    assert isinstance(error, UnreachableError)
    assert error.retryable
    assert error.code in {"workload_token_unavailable", "unreachable"}


@at(ON_HTTP)
def test_a_platform_that_does_not_listen_may_be_asked_again(place):
    place.wire.__exit__()
    try:
        error = refused(place)
    finally:
        place.wire = type(place.wire)(place._answer).__enter__()
    assert isinstance(error, UnreachableError)
    assert (error.code, error.retryable) == ("unreachable", True)


@at(ASKED)
def test_the_debug_log_shows_no_token(place, caplog):
    caplog.set_level(logging.DEBUG)
    place.source()(AUDIENCE)
    place.give(none_at_all)
    refused(place)
    place.fail(403)
    refused(place)
    if isinstance(place, tuple(ON_HTTP.values())):
        for raw in (HTML, BROKEN_JSON, CUT_OFF, NO_HTTP):
            place.say(raw)
            refused(place)
    form = logging.Formatter()
    for record in caplog.records:
        text = form.format(record) + repr(vars(record))
        shown = [canary for canary in (ECHO.decode(), *place.secrets, *place.given) if canary in text]
        assert not shown, f"{record.name} shows {shown}"


@at(ASKED)
def test_where_no_thread_can_start_it_is_fetched_all_the_same(place, monkeypatch):
    start = threading.Thread.start

    def no_more(thread):
        if thread.name == "gatepass-identity":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_more)
    source = place.source(timeout_s=0.3)
    assert source(AUDIENCE) == place.given[-1]
    place.give(none_at_all)
    refused(place)
    place.hang()
    assert refused(place, timeout_s=0.3).code == "timeout"


@pytest.mark.parametrize("kind", KINDS)
def test_elsewhere_it_is_none(kind):
    assert not kind().here()
    assert kind()(AUDIENCE) is None


@at([name for name in ASKED if name != "github"])
def test_a_library_that_is_missing_is_named(place, monkeypatch):
    monkeypatch.setitem(sys.modules, place.library, None)
    with pytest.raises(ConfigurationError, match=re.escape(f"pip install 'gatepass[{place.extra}]'")) as caught:
        place.source()(AUDIENCE)
    assert caught.value.code == "extra_missing"
    assert place.asked == []


@at(ALL)
def test_anything_that_a_library_raises_becomes_ours_without_its_text(place, monkeypatch):
    def burst(*_):
        raise OverflowError(place.given)

    monkeypatch.setattr(place.kind, "_fetch", burst)
    error = refused(place)
    assert isinstance(error, ConfigurationError)
    assert error.code == "workload_token_failed"
    assert "OverflowError" in str(error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("timeout_s", [0, -1.0, 3601, float("nan"), float("inf"), True, "3", None])
def test_a_time_out_is_a_time(kind, timeout_s):
    with pytest.raises(ConfigurationError, match="timeout_s") as caught:
        kind(timeout_s=timeout_s)
    assert caught.value.code == "timeout_invalid"


@pytest.mark.parametrize("audience", ["", "a\nb", 5, None])
def test_an_audience_is_a_text(audience):
    with pytest.raises(ConfigurationError, match="audience") as caught:
        GitHubActions()(audience)
    assert caught.value.code == "audience_invalid"


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_is_a_value(kind):
    assert kind() == kind(timeout_s=10)
    assert len({kind(), kind()}) == 1
    assert kind().identity[0] == kind.name
    assert kind(timeout_s=3).identity == kind().identity
    with pytest.raises(AttributeError):
        kind().timeout_s = 3


class Elsewhere(Platform, frozen=True):
    """A platform of somebody's own, which is always here."""

    name = "Elsewhere"

    def here(self):
        return True


class WithNumbers(Elsewhere, frozen=True):
    def _fetch(self, audience):
        return 5


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (Platform(), "workload_token_failed"),
        (Elsewhere(), "workload_token_failed"),
        (WithNumbers(), "workload_token_invalid"),
    ],
)
def test_a_platform_that_is_half_written_is_an_error_of_ours(source, code):
    with pytest.raises(ConfigurationError) as caught:
        source(AUDIENCE)
    assert caught.value.code == code
