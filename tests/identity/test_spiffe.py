from __future__ import annotations

import socket

import grpc
import pytest
from identity.stand_ins.spire import SPIFFE_ID, Agent
from identity.stand_ins.tokens import AUDIENCE

from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.identity import Spiffe


@pytest.fixture
def agent(monkeypatch, tmp_path):
    with Agent(monkeypatch, tmp_path) as agent:
        yield agent


def test_one_of_several_identities_is_named(agent):
    assert Spiffe(spiffe_id=SPIFFE_ID)(AUDIENCE) == agent.given[-1]
    Spiffe()(AUDIENCE)
    assert agent.subjects == [SPIFFE_ID, ""]


def test_the_socket_may_be_given(agent, monkeypatch):
    monkeypatch.delenv("SPIFFE_ENDPOINT_SOCKET")
    assert Spiffe()(AUDIENCE) is None
    source = Spiffe(socket=f"unix://{agent.socket}")
    assert source(AUDIENCE) == agent.given[-1]
    assert source.identity == ("SPIFFE", f"socket=unix://{agent.socket}")


def test_a_workload_that_is_not_registered_is_told_so(agent):
    agent.fail(403)
    with pytest.raises(ConfigurationError, match=r"PERMISSION_DENIED. Register this workload"):
        Spiffe()(AUDIENCE)


@pytest.mark.parametrize("code", [grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_an_agent_in_trouble_may_be_asked_again(agent, code):
    agent.code = code
    with pytest.raises(UnreachableError, match=code.name) as caught:
        Spiffe()(AUDIENCE)
    assert caught.value.retryable


def test_an_agent_that_is_not_there_yet_may_be_asked_again(tmp_path):
    with pytest.raises(UnreachableError, match="no agent listens") as caught:
        Spiffe(socket=f"unix://{tmp_path}/agent.sock")(AUDIENCE)
    assert caught.value.retryable


def test_an_agent_that_is_gone_may_be_asked_again(tmp_path):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "agent.sock"))
    with pytest.raises(UnreachableError, match="UNAVAILABLE") as caught:
        Spiffe(socket=f"unix://{tmp_path}/agent.sock")(AUDIENCE)
    assert caught.value.retryable


@pytest.mark.parametrize("address", ["agent.sock", "http://127.0.0.1", "tcp://127.0.0.1:1", "unix:/run?a=b"])
def test_what_is_no_address_is_named(address):
    with pytest.raises(ConfigurationError, match="unix:///path") as caught:
        Spiffe(socket=address)(AUDIENCE)
    assert caught.value.code == "socket_invalid"


def test_what_is_no_spiffe_id_is_named(agent):
    with pytest.raises(ConfigurationError, match="spiffe_id") as caught:
        Spiffe(spiffe_id="https://example.com")(AUDIENCE)
    assert caught.value.code == "spiffe_id_invalid"


@pytest.mark.parametrize("field", ["socket", "spiffe_id"])
@pytest.mark.parametrize("value", ["", "a\nb"])
def test_an_argument_is_a_text(field, value):
    with pytest.raises(ConfigurationError, match=field) as caught:
        Spiffe(**{field: value})
    assert caught.value.code == f"{field}_invalid"
