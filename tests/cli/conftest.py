"""The command as a process of its own, and one pair of servers for all of it.

Every secret here has the word "canary" in it, and no run may show that word, a line of a key, or a token on stderr.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import key_material
import pytest

from gatepass.testing import AuthorizationServer, ProtectedServer

SECRET = "canary-client-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _hangups_are_heard():
    """Where the tests themselves run under `nohup`, every command would be deaf to SIGHUP."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def _nobody_goes_on_listening():
    """A command that runs in this process listens to loggers, as long as the process lives."""
    loggers = [logging.getLogger(name) for name in (None, "gatepass", "httpx2", "mcp")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def authority():
    with AuthorizationServer(scopes=("mcp:read",)) as server:
        server.add_client("ci-bot", secret=SECRET)
        server.add_client("key-bot", public_key=key_material.public_pem("P-256"))
        yield server


@pytest.fixture(scope="session")
def mcp_server(authority):
    with ProtectedServer(authority, scopes=("mcp:read",)) as server:
        yield server


@pytest.fixture(scope="session")
def closed_server(authority):
    """It answers 401 to everybody."""
    with ProtectedServer(authority, reject_all=True) as server:
        yield server


@pytest.fixture
def url(mcp_server, authority):
    """The MCP server's, with the counters of both servers at zero."""
    authority.reset_counters()
    mcp_server.reset_counters()
    return mcp_server.url


def bare_environment(home):
    """A home of its own, and no proxy."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONWARNINGS": "error",
        "COLUMNS": "80",
    } | {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}


def ci_bot(home, authority):
    """What the command finds: an identity, too."""
    return {
        **bare_environment(home),
        "GATEPASS_CLIENT_ID": "ci-bot",
        "GATEPASS_CLIENT_SECRET": SECRET,
        "GATEPASS_ISSUER": authority.issuer,
    }


@pytest.fixture
def environment(tmp_path, authority):
    return ci_bot(tmp_path, authority)


@pytest.fixture
def gatepass(environment):
    """Runs the command, in `cwd`. What is given by name changes its environment, and None takes a variable away."""

    def gatepass(*arguments, cwd=None, **changes):
        return ended({name: value for name, value in {**environment, **changes}.items() if value}, arguments, cwd)

    return gatepass


@pytest.fixture(scope="session")
def together(tmp_path_factory, authority):
    """Runs several commands, two at a time and each in a home of its own; gives their runs by name."""

    def together(**commands):
        environments = [ci_bot(tmp_path_factory.mktemp("home"), authority) for _ in commands]
        with ThreadPoolExecutor(2) as pool:
            return dict(zip(commands, pool.map(ended, environments, commands.values()), strict=True))

    return together


def ended(environment, arguments, cwd=None) -> Run:
    command = [sys.executable, "-m", "gatepass", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return checked(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session", autouse=True)
def demo(request, tmp_path_factory):
    """The demo, started before all else, because it takes its time; gives its run and the home it had."""
    if not any("TestDemo" in item.nodeid for item in request.session.items):
        yield None
        return
    home = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "gatepass", "demo"]
    with subprocess.Popen(
        command, env=bare_environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        ended = []

        def demo():
            if not ended:
                out, err = process.communicate(timeout=60)
                ended.append(checked(process.returncode, out, err))
            return ended[0], home

        yield demo
        demo()


def checked(code, out, err) -> Run:
    """A run that shows no secret, and no traceback."""
    assert "canary" not in out + err
    assert key_material.pem("P-256").splitlines()[1] not in out + err
    assert "eyJ" not in err, "a token stands on stderr"
    assert "Traceback" not in err
    return Run(code=code, out=out, err=err)
