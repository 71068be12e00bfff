"""A machine that is nowhere, from which no way leads but to loopback."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from gatepass.identity import machine

MARKS = ("ACTIONS_", "AWS_", "AZURE_", "CLOUD_RUN", "GCE_", "GITHUB_", "GITLAB_", "GOOGLE_", "IDENTITY_", "IMDS_", "K_")
MARKS += ("MSI_", "SPIFFE_", "GATEPASS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NO_GCE_CHECK")


@pytest.fixture(autouse=True)
def firmware(monkeypatch, tmp_path) -> Path:
    """Where the firmware speaks. This one says nothing, and neither do the variables."""
    for name in os.environ:
        if name.upper().startswith(MARKS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(machine, "_FIRMWARE", tmp_path / "firmware")
    (tmp_path / "firmware").mkdir()
    return tmp_path / "firmware"


@pytest.fixture(autouse=True)
def reached_for(monkeypatch):
    """Places beyond loopback that something looked for. They are not there."""
    sought: list[object] = []
    of_before = set(threading.enumerate()) - {threading.main_thread()}  # a platform that hung in an earlier test
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def near(host: object) -> bool:
        return host in {None, "127.0.0.1", "localhost", "::1"}

    def note(host: object) -> None:
        if threading.current_thread() not in of_before:
            sought.append(host)

    def connect_near(line, address):
        if isinstance(address, tuple) and not near(address[0]):
            note(address[0])
            raise OSError("no way leads there")
        return connect(line, address)

    def look_up_near(host, *more, **named):
        if not near(host):
            note(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *more, **named)

    monkeypatch.setattr(socket.socket, "connect", connect_near)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_near)
    yield sought
    assert sought == []
