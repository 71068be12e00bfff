from __future__ import annotations

import os
import subprocess
import sys

import pytest
from identity.stand_ins.google import TEXT, Google
from identity.stand_ins.tokens import AUDIENCE, issued
from wire import Wire, response, says

from gatepass.errors import UnreachableError
from gatepass.identity import GoogleCloud


@pytest.fixture
def google(monkeypatch):
    with Google(monkeypatch) as google:
        yield google


def test_the_variable_leads_a_program_to_the_metadata_server(google):
    program = f"from gatepass.identity import GoogleCloud; print(GoogleCloud()({AUDIENCE!r}))"
    environment = os.environ | {"GCE_METADATA_HOST": google.wire.where}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == google.given


def test_it_asks_once(google):
    google.fail(503)
    with pytest.raises(UnreachableError):
        GoogleCloud()(AUDIENCE)
    assert len(google.wire.visits) == 1


def test_an_answer_without_the_flavor_is_somebody_elses(google):
    google.say(response(issued(AUDIENCE).encode(), TEXT))
    with pytest.raises(UnreachableError, match="makes no sense"):
        GoogleCloud()(AUDIENCE)


def test_no_proxy_sees_the_token(google, monkeypatch):
    with Wire(says(response())) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.where}")
        monkeypatch.setenv("http_proxy", f"http://{proxy.where}")
        assert GoogleCloud()(AUDIENCE) == google.given[-1]
        assert proxy.visits == []


@pytest.mark.parametrize(("product", "here"), [("Google Compute Engine\n", True), ("Google\n", True), ("KVM\n", False)])
def test_the_firmware_tells(firmware, product, here):
    (firmware / "product_name").write_text(product)
    assert GoogleCloud().here() is here


@pytest.mark.parametrize("variable", ["GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB"])
def test_a_variable_tells(monkeypatch, variable):
    monkeypatch.setenv(variable, "something")
    assert GoogleCloud().here()
