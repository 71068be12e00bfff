"""Signing out: the token is gone here and in the store, and revoked where the server offers that (RFC 7009)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from jar import ISSUER, Clock, Fragile, Jar, SharedMemory, issues, refuses, served, server_metadata, waiting
from key_material import pem

from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.core.world import Notice, PrivateKey
from gatepass.engine.sign_out import sign_out
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, StoreError, UnreachableError
from gatepass.profiles.base import Traits
from gatepass.stores.base import Store

REVOKED = HttpResponse(status=200, headers=(), body=b"")
DOWN = UnreachableError("No answer.", code="unreachable", retryable=True)


def a_jar(*replies: HttpResponse | GatepassError, refresh_token: str | None = None, **options: object) -> Jar:
    """A jar that has a token, of a server that revokes; what follows are its replies."""
    jar = Jar(**options)  # type: ignore[arg-type]
    jar.world.documents.update(server_metadata(ISSUER, revocation_endpoint=f"{ISSUER}/revoke"))
    jar.profile.refresh_token = Secret(refresh_token) if refresh_token else None
    jar.world.replies = list(replies)
    jar.token()
    return jar


def revoked(jar: Jar) -> list[tuple[str, str]]:
    """What the server was told to revoke, in order."""
    return [(form["token_type_hint"], form["token"]) for path, form in jar.world.posted if path == "/revoke"]


def kept(store: Store) -> list[str]:
    """The kinds of what the store has."""
    cells = store._cells  # type: ignore[attr-defined]
    return sorted(name.partition(".")[0] for name in cells if store.read(name))


# What is forgotten.


def test_the_token_is_gone_and_revoked_and_the_next_call_makes_another() -> None:
    jar = a_jar(REVOKED)
    assert sign_out(jar.source)
    assert (revoked(jar), jar.world.posted[0][1]["client_id"]) == ([("access_token", "token-1")], "jar")
    assert (jar.source.ready, jar.source.held, kept(jar.store)) == (None, None, ["metadata"])
    assert jar.token().record.access_token == "token-2"


def test_the_refresh_token_is_revoked_first() -> None:
    jar = a_jar(REVOKED, REVOKED, refresh_token="r1")
    assert sign_out(jar.source)
    assert revoked(jar) == [("refresh_token", "r1"), ("access_token", "token-1")]
    assert jar.token().generation == 2
    assert jar.mints == 2  # it is not used any more


def test_the_key_that_was_made_for_it_goes_along() -> None:
    jar = a_jar(REVOKED, dpop=True)
    before = jar.token().record.key_thumbprint
    assert kept(jar.store) == ["key", "metadata", "token"]
    sign_out(jar.source)
    assert kept(jar.store) == ["metadata"]
    assert jar.token().record.key_thumbprint not in {before, None}


def test_what_another_process_has_renewed_meanwhile_is_revoked_in_its_place() -> None:
    store, clock = SharedMemory(), Clock()
    one = a_jar(REVOKED, store=store, clock=clock)
    other = Jar(store=store, clock=clock)
    other.token()
    clock.turn(991)
    newer = other.token()
    sign_out(one.source)
    assert newer.generation == 2
    assert revoked(one) == [("access_token", newer.record.access_token)]


def test_a_token_that_stands_in_the_store_only_is_revoked_too() -> None:
    jar = a_jar()
    again = Jar(store=jar.store, clock=jar.clock)
    again.world.replies = [REVOKED]
    assert sign_out(again.source)
    assert revoked(again) == [("access_token", "token-1")]
    assert kept(jar.store) == ["metadata"]


def test_without_a_token_there_is_nothing_to_revoke() -> None:
    jar = Jar()
    assert not sign_out(jar.source)
    assert jar.world.posted == []


def test_what_was_remembered_of_failures_and_refused_scopes_is_forgotten() -> None:
    jar = a_jar()
    jar.profile.answers = [refusal := RemoteError("No.", code="token_refused", error="invalid_grant")]
    jar.source.reject(jar.source.held)
    jar.pump()
    assert jar.failure().error == refusal.error
    jar.world.replies = [REVOKED]
    sign_out(jar.source)
    assert jar.token().generation == 2


def test_what_comes_at_the_very_last_moment_is_revoked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    jar = a_jar(REVOKED, REVOKED)
    jar.clock.turn(1001)
    landed = jar.source.landed

    def forgotten_first(*arguments: Any) -> bool:
        monkeypatch.undo()
        jar.source.forget()
        return landed(*arguments)

    monkeypatch.setattr(jar.source, "landed", forgotten_first)
    assert jar.failure().code == "forgotten"
    assert revoked(jar) == [("access_token", "token-2")]
    assert kept(jar.store) == ["metadata"]
    assert jar.source.held is None


# Where it is not revoked.


def test_a_server_that_offers_no_revocation_is_asked_for_none() -> None:
    jar = Jar()
    jar.token()
    assert not sign_out(jar.source)
    assert (jar.source.held, kept(jar.store), jar.world.posted) == (None, ["metadata"], [])


def test_a_client_that_the_server_does_not_know_any_more_revokes_nothing() -> None:
    jar = a_jar()
    jar.profile.client_of = lambda *_: None  # type: ignore[method-assign]
    assert not sign_out(jar.source)


def test_a_token_of_another_server_than_the_one_that_is_known_is_not_told_to_it() -> None:
    jar = a_jar(issuer=None)
    jar.profile.traits = Traits(portable=True)
    assert jar.source.discovery is not None
    other = server_metadata("https://as.example.net", revocation_endpoint="https://as.example.net/revoke")
    jar.world.documents.update(other)
    jar.world.documents.update(
        {url: {**document, "authorization_servers": ["https://as.example.net"]} for url, document in
         jar.world.documents.items() if "authorization_servers" in document}
    )  # fmt: skip
    jar.profile.default = DOWN
    jar.source.reject(jar.source.held)
    jar.pump()
    assert not sign_out(jar.source)
    assert jar.world.posted == []


@pytest.mark.parametrize(
    ("replies", "refresh_token", "answer"),
    [
        ([refuses("unsupported_token_type")], None, False),
        ([REVOKED, refuses("unsupported_token_type")], "r1", True),
    ],
    ids=["the only one", "after the refresh token"],
)
def test_an_access_token_that_can_not_be_revoked_is_left_to_its_end(
    replies: list[HttpResponse | GatepassError], refresh_token: str | None, answer: bool
) -> None:
    jar = a_jar(*replies, refresh_token=refresh_token)
    assert sign_out(jar.source) is answer


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (refuses("invalid_client", 401), None),
        (HttpResponse(status=503, headers=(), body=b""), None),
        (DOWN, "unreachable"),
    ],
    ids=["refused", "busy", "down"],
)
@pytest.mark.parametrize("refresh_token", [None, "r1"])
def test_a_revocation_that_fails_is_told_and_the_token_is_forgotten_all_the_same(
    reply: HttpResponse | GatepassError, code: str | None, refresh_token: str | None
) -> None:
    jar = a_jar(reply, refresh_token=refresh_token)
    with pytest.raises(GatepassError) as failure:
        sign_out(jar.source)
    assert code in {None, failure.value.code}
    assert (jar.source.held, kept(jar.store)) == (None, ["metadata"])
    assert "token-1" not in str(failure.value)


# A store that fails.


@pytest.mark.parametrize("broken", [{"delete"}, {"read", "delete"}], ids=["delete", "read and delete"])
def test_a_store_that_may_still_have_it_is_told_of_after_the_token_was_revoked(broken: set[str]) -> None:
    store = Fragile()
    jar = a_jar(REVOKED, store=store)
    store.broken = broken
    with pytest.raises(StoreError) as failure:
        sign_out(jar.source)
    assert failure.value.code == "store_gone"
    assert revoked(jar) == [("access_token", "token-1")]
    assert jar.source.held is None
    store.broken = set()
    jar.advance(11)
    assert jar.token().record.access_token == "token-2"  # and not what the store still had


def test_a_store_that_failed_a_moment_ago_is_asked_all_the_same() -> None:
    store = Fragile()
    jar = a_jar(REVOKED, store=store)
    store.broken = {"read"}
    jar.source.shelf.token()
    store.broken = set()
    assert sign_out(jar.source)
    assert kept(store) == ["metadata"]


def test_a_key_that_can_not_be_read_any_more_is_told_of_after_all_was_forgotten() -> None:
    jar = a_jar(REVOKED, dpop=PrivateKey(text=Secret(pem("P-256"))))
    jar.source.binding._dpop = PrivateKey(text=Secret("nonsense"))
    with pytest.raises(ConfigurationError):
        sign_out(jar.source)
    assert (revoked(jar), jar.source.held, kept(jar.store)) == ([("access_token", "token-1")], None, ["metadata"])


# A renewal under way.


def test_a_renewal_under_way_comes_to_nothing_and_who_waits_for_it_hears_so_at_once() -> None:
    jar = a_jar(REVOKED, REVOKED)
    jar.advance(991)
    callers = [waiting(jar.call()) for _ in range(3)]
    sign_out(jar.source)
    for caller in callers:
        assert isinstance(caller.outcome, GatepassError)
        assert caller.outcome.code == "forgotten"
    assert len({id(caller.outcome) for caller in callers}) == 3
    jar.pump()
    assert (jar.mints, jar.source.held, kept(jar.store)) == (1, None, ["metadata"])
    assert jar.token().generation == 2


def test_a_token_that_was_on_its_way_is_kept_nowhere_and_revoked_too() -> None:
    jar = a_jar(REVOKED, REVOKED)
    jar.advance(991)
    jar.profile.while_asked = partial(sign_out, jar.source)
    caller = waiting(jar.call())
    jar.pump()
    assert isinstance(caller.outcome, GatepassError)
    assert caller.outcome.code == "forgotten"
    assert revoked(jar) == [("access_token", "token-1"), ("access_token", "token-2")]
    assert (jar.source.held, jar.source.ready, kept(jar.store)) == (None, None, ["metadata"])


def test_it_is_kept_nowhere_even_where_it_was_being_kept_at_that_moment() -> None:
    store = Fragile()
    jar = a_jar(REVOKED, REVOKED, store=store)
    jar.advance(991)
    write = store.write

    def sign_out_before(name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        if name.startswith("token."):
            store.write = write  # type: ignore[method-assign]
            sign_out(jar.source)
        return write(name, value, expect=expect, fence=fence)

    store.write = sign_out_before  # type: ignore[method-assign, assignment]
    jar.call()
    jar.pump()
    assert (jar.source.held, kept(store)) == (None, ["metadata"])
    assert store.holder(jar.source.shelf.names[0]) is None
    assert jar.token().record.access_token == "token-3"


def test_a_renewal_that_has_just_kept_its_token_does_not_bring_it_back_either() -> None:
    jar = a_jar(REVOKED)
    jar.advance(991)
    notice = jar.world.notice

    def sign_out_at(said: Notice) -> None:
        notice(said)
        if said.code == "token_obtained":
            jar.world.notice = notice  # type: ignore[method-assign]
            sign_out(jar.source)

    jar.world.notice = sign_out_at  # type: ignore[method-assign]
    jar.call()
    jar.pump()
    assert (jar.source.held, jar.source.ready, kept(jar.store)) == (None, None, ["metadata"])


def test_where_nothing_of_that_can_be_done_the_renewal_still_ends() -> None:
    store = Fragile()
    jar = a_jar(REVOKED, store=store)
    jar.advance(991)

    def leave() -> None:
        sign_out(jar.source)
        store.broken = {"delete", "write", "read"}
        jar.world.replies = [DOWN]

    jar.profile.while_asked = leave
    jar.call()
    jar.pump()
    assert jar.source.held is None
    assert not jar.pool.busy


@pytest.mark.parametrize("answer", [DOWN, RemoteError("No.", code="token_refused", error="invalid_grant")], ids=repr)
def test_what_a_renewal_that_was_called_off_fails_with_is_nothing_to_those_who_come_after(
    answer: GatepassError,
) -> None:
    jar = a_jar(REVOKED)
    jar.advance(991)
    jar.profile.answers = [answer]
    jar.profile.while_asked = partial(sign_out, jar.source)
    jar.call()
    jar.pump()
    assert jar.token().generation == 2
    assert not jar.pool.busy


def test_a_renewal_that_waits_for_its_time_ends_when_that_comes() -> None:
    jar = a_jar(REVOKED)
    jar.advance(991)
    jar.profile.answers = [DOWN]
    jar.call()
    jar.pump()
    sign_out(jar.source)
    newer = jar.token()
    jar.advance(10)
    assert served(jar.call()) is newer
    assert jar.mints == 3


def test_a_renewal_that_was_called_off_does_not_end_the_one_that_came_after() -> None:
    jar = a_jar(REVOKED)
    jar.advance(991)
    first = jar.call()
    flight = jar.source._flight
    assert flight is not None
    sign_out(jar.source)
    second = waiting(jar.call())
    assert jar.source.retire(flight)
    assert jar.source._flight is not None
    jar.pump()
    assert served(second.outcome).generation == 2
    assert waiting(first).woken == 1


def test_a_refusal_of_the_forgotten_token_that_comes_late_forces_a_new_one_and_no_more() -> None:
    jar = a_jar(REVOKED)
    forgotten = jar.source.held
    sign_out(jar.source)
    assert jar.source.reject(forgotten)
    jar.pump()
    assert served(jar.call()).generation == 2
    assert jar.source.reject(forgotten)
    assert jar.mints == 2


def test_what_was_issued_by_a_refresh_token_while_it_was_being_revoked_is_revoked_too() -> None:
    jar = a_jar(refresh_token="r1")
    jar.advance(991)

    def reply(path: str, form: dict[str, str]) -> HttpResponse:
        if path == "/token":
            sign_out(jar.source)
            return issues("t2", "r2")
        return REVOKED

    jar.world.reply = reply
    jar.call()
    jar.pump()
    assert [token for _, token in revoked(jar)] == ["r1", "token-1", "r2", "t2"]
    assert kept(jar.store) == ["metadata"]


def test_a_token_that_is_forgotten_on_its_way_does_not_take_the_next_one_along() -> None:
    jar = a_jar(REVOKED, REVOKED, REVOKED)
    jar.advance(995)

    def meanwhile() -> None:
        sign_out(jar.source)
        jar.profile.while_asked = None
        assert waiting(jar.call())

    jar.profile.while_asked = meanwhile
    jar.call()
    jar.pump()
    held = jar.source.held
    assert held is not None
    assert jar.source.shelf.token() == held.record
