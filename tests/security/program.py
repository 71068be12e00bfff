"""A program that tries once, what it holds in its hands, and what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.visitors import TLS

import gatepass
from gatepass.lifecycle.failures import Failures
from gatepass.lifecycle.policy import Policy

HOUSE = Path(gatepass.__file__).parent
NOWHERE = "http://127.0.0.1:1/mcp"
CLEAN: list[str] = []


def tries_once(auth):
    """Each call tries once, and at once."""
    auth._source.policy = Policy(attempts=1, back_off_first_s=0.0)
    auth._source.failures = Failures(auth._source.policy)
    return auth


def show(witness, auth, *more):
    """Everything that a user of it holds in the hand."""
    profile = auth._source.profile
    for thing in (auth, *more, profile, auth.for_httpx(), auth._source, auth.reach, *profile.secrets):
        witness.thing(thing)
    with gatepass.AuthorizedClient(auth, verify=TLS) as http:
        witness.thing(http)


def error_of(action):
    with pytest.raises(gatepass.GatepassError) as caught:
        action()
    return caught.value
