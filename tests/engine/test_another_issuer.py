"""The resource names another authorization server: credentials stay where they are from (SEP-2352)."""

from __future__ import annotations

import pytest
from jar import ISSUER, OTHER_ISSUER, Clock, Jar, SharedMemory, resource_metadata, served, server_metadata

from gatepass.engine.sign_out import sign_out
from gatepass.errors import RemoteError
from gatepass.profiles.base import Traits


def move(jar: Jar) -> None:
    """From now on, the resource names the other server."""
    jar.world.documents = {**resource_metadata(OTHER_ISSUER), **server_metadata(OTHER_ISSUER)}


def test_credentials_that_are_bound_to_a_server_do_not_go_to_another_one() -> None:
    jar = Jar(issuer=None)
    jar.token()
    move(jar)
    jar.source.reject(jar.source.held)
    jar.pump()
    failure = jar.failure()
    assert isinstance(failure, RemoteError)
    assert (failure.code, failure.by, failure.retryable) == ("issuer_changed", "resource_server", False)
    assert f"pin it with issuer={OTHER_ISSUER!r}" in str(failure)
    assert (jar.mints, [errand.server.issuer for errand in jar.profile.asked]) == (1, [ISSUER])


def test_meanwhile_a_token_that_the_resource_takes_is_served() -> None:
    jar = Jar(issuer=None)
    jar.profile.default = 7200.0
    old = jar.token()
    move(jar)
    jar.advance(6000)
    assert served(jar.call()) is old
    jar.pump()
    assert served(jar.call()) is old
    assert jar.codes() == ["renewal_failed"]
    assert jar.mints == 1


def test_where_no_credentials_are_bound_the_new_server_is_gone_to_and_told_of() -> None:
    jar = Jar(issuer=None)
    jar.profile.traits = Traits(portable=True)
    jar.token()
    move(jar)
    jar.source.reject(jar.source.held)
    jar.pump()
    assert served(jar.call()).record.issuer == OTHER_ISSUER
    (notice,) = (notice for notice in jar.world.notices if notice.code == "issuer_changed")
    assert (notice.level, ISSUER in notice.text, OTHER_ISSUER in notice.text) == ("warning", True, True)


def test_what_somebody_else_has_discovered_at_the_same_store_is_no_way_around_that() -> None:
    store, clock = SharedMemory(), Clock()
    bound = Jar(issuer=None, store=store, clock=clock)
    bound.token()
    portable = Jar(issuer=None, store=store, clock=clock, identity=("somebody else",))
    portable.profile.traits = Traits(portable=True)
    portable.token()
    move(portable)
    portable.source.reject(portable.source.held)
    portable.pump()
    assert served(portable.call()).record.issuer == OTHER_ISSUER
    clock.turn(991)
    again = Jar(issuer=None, store=store, clock=clock)
    assert (again.failure().code, again.mints) == ("issuer_changed", 0)


@pytest.mark.parametrize("restarted", [False, True])
def test_whoever_is_new_here_has_no_server_yet_that_the_credentials_are_bound_to(restarted: bool) -> None:
    jar = Jar(issuer=None)
    if restarted:
        jar.token()
        sign_out(jar.source)
    move(jar)
    jar.source.rediscover, jar.source.discovery = True, None
    assert jar.token().record.issuer == OTHER_ISSUER
