"""Tokens that are bound: to a key that was made or given (RFC 9449), or to a certificate (RFC 8705)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from jar import ISSUER, Clock, Fragile, Jar, SharedMemory, issues, resource_metadata, served, server_metadata, waiting
from key_material import pem

from gatepass.core.secret import Secret
from gatepass.core.world import PrivateKey
from gatepass.errors import ConfigurationError
from gatepass.keys.thumbprint import thumbprint
from gatepass.lifecycle.record import GeneratedKey, TokenRecord, decode, encode
from gatepass.stores.base import Store


def key(number: int = 1) -> PrivateKey:
    return PrivateKey(text=Secret(pem("P-256", number=number)))


def names(store: Store, kind: str) -> list[str]:
    return sorted(name for name in store._cells if name.startswith(kind) and store.read(name))  # type: ignore[attr-defined]


def bound_to(jar: Jar) -> str | None:
    """The thumbprint of the key that the token at hand is bound to."""
    held = jar.token()
    key = held.proof_key
    assert (held.record.key_thumbprint, held.record.key_algorithm) == (
        (None, None) if key is None else (key.thumbprint, key.algorithm)
    )
    return held.record.key_thumbprint


# A key that was made.


def test_a_token_is_bound_to_a_key_that_is_made_for_it_and_says_so_in_each_request() -> None:
    jar = Jar(dpop=True)
    held = jar.token()
    assert held.proof_key is not None
    assert held.authorization == "DPoP token-1"
    assert (held.proof_key.algorithm, held.proof_key.local) == ("ES256", True)
    assert jar.profile.asked[0].proof_key == held.proof_key


def test_the_key_is_made_once_for_all_renewals_and_restarts() -> None:
    jar = Jar(dpop=True)
    seen = [bound_to(jar)]
    jar.advance(991)
    seen.append(bound_to(jar))
    again = Jar(store=jar.store, clock=jar.clock, dpop=True)
    assert again.token().record == jar.token().record
    again.advance(991)
    seen.append(bound_to(again))
    assert len(set(seen)) == 1
    assert (len(names(jar.store, "key.")), again.mints) == (1, 1)


class Racing(SharedMemory):
    """A store in which somebody else is a moment quicker with a key."""

    theirs = encode(GeneratedKey(jwk="{}"))

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        if name.startswith("key.") and expect == 0:
            super().write(name, self.theirs, expect=0)
        return super().write(name, value, expect=expect, fence=fence)


def test_of_two_processes_that_make_a_key_at_once_the_first_wins() -> None:
    first = Jar(dpop=True)
    bound_to(first)
    store = Racing()
    entry = first.store.read(names(first.store, "key.")[0])
    assert entry is not None
    store.theirs = entry.value
    late = Jar(store=store, dpop=True)
    assert bound_to(late) == bound_to(first)
    assert len(names(store, "key.")) == 1


def test_where_the_store_fails_each_process_keeps_to_its_own_key() -> None:
    store = Fragile()
    store.broken = {"read", "write"}
    jar = Jar(store=store, dpop=True)
    seen = {bound_to(jar)}
    jar.advance(991)
    seen.add(bound_to(jar))
    assert len(seen) == 1
    store.broken = set()
    jar.advance(991)
    assert bound_to(jar) in seen
    jar.advance(991)
    again = Jar(store=store, clock=jar.clock, dpop=True)
    assert bound_to(again) in seen  # it has found its way into the store


def test_a_key_that_can_not_be_read_is_replaced() -> None:
    jar = Jar(dpop=True)
    before = bound_to(jar)
    (name,) = names(jar.store, "key.")
    entry = jar.store.read(name)
    assert entry is not None
    jar.store.write(name, b"{", expect=entry.version)
    again = Jar(store=jar.store, clock=jar.clock, dpop=True)
    assert bound_to(again) != before
    assert again.codes() == ["record_invalid"]
    third = Jar(store=jar.store, clock=jar.clock, dpop=True)
    assert bound_to(third) == bound_to(again)


# A key of the user's.


def test_a_token_is_bound_to_the_key_that_is_given_and_no_key_is_made() -> None:
    jar = Jar(dpop=key())
    expected = thumbprint(jar.world.signer(key()).public_jwk)
    assert bound_to(jar) == expected
    assert names(jar.store, "key.") == []


def test_tokens_of_different_keys_have_different_names() -> None:
    store, clock = SharedMemory(), Clock()
    jars = [Jar(store=store, clock=clock, dpop=dpop) for dpop in (False, True, key(1), key(2))]
    for jar in jars:
        jar.token()
    assert [jar.mints for jar in jars] == [1, 1, 1, 1]
    assert len(names(store, "token.")) == 4
    again = Jar(store=store, clock=clock, dpop=key(2))
    assert again.token().record == jars[3].token().record


class Turning:
    """A signer whose key can be replaced, as a file can."""

    def __init__(self) -> None:
        self.turn(1)

    def turn(self, number: int) -> None:
        self._key = Jar().world.signer(key(number))

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self._key.algorithms

    @property
    def public_jwk(self) -> Mapping[str, object]:
        return self._key.public_jwk

    def sign(self, algorithm: str, data: bytes) -> bytes:
        return self._key.sign(algorithm, data)


def test_a_key_that_was_rotated_means_another_token_and_the_old_one_serves_until_then() -> None:
    signer = Turning()
    jar = Jar(dpop=signer)
    before = bound_to(jar)
    signer.turn(2)
    assert bound_to(jar) == before  # the servers still know it
    jar.advance(991)
    assert bound_to(jar) != before
    assert len(names(jar.store, "token.")) == 2


def test_a_stored_token_that_is_bound_to_another_key_is_not_used() -> None:
    jar = Jar(dpop=True)
    jar.token()
    (name,) = names(jar.store, "token.")
    entry = jar.store.read(name)
    assert entry is not None
    record = decode(entry.value, TokenRecord)
    assert record.key_thumbprint is not None
    value = entry.value.replace(record.key_thumbprint.encode(), b"another")
    jar.store.write(name, value, expect=entry.version)
    again = Jar(store=jar.store, clock=jar.clock, dpop=True)
    assert bound_to(again) == record.key_thumbprint
    assert again.mints == 1


def test_a_key_that_can_not_be_used_is_told_and_asked_for_again_when_it_has_changed() -> None:
    jar = Jar(dpop=PrivateKey(text=Secret("nonsense"), password=Secret("pw")))
    assert isinstance(jar.failure(), ConfigurationError)
    assert jar.mints == 0
    assert [secret.reveal() for secret in jar.source.secrets] == ["nonsense", "pw"]


# What the resource says.


def test_a_resource_that_takes_only_bound_tokens_is_told_of_with_the_way_out() -> None:
    jar = Jar()
    jar.world.documents.update(resource_metadata(ISSUER, dpop_bound_access_tokens_required=True))
    failure = jar.failure()
    assert (failure.code, jar.mints) == ("dpop_required", 0)
    assert "give dpop=True" in str(failure)
    jar = Jar(dpop=True)
    jar.world.documents.update(resource_metadata(ISSUER, dpop_bound_access_tokens_required=True))
    assert bound_to(jar) is not None


@pytest.mark.parametrize("who", ["resource", "server"])
def test_an_algorithm_that_nobody_else_takes_is_told_before_anything_is_sent(who: str) -> None:
    jar = Jar(dpop=key())
    algorithms = {"dpop_signing_alg_values_supported": ["RS256"]}
    jar.world.documents.update(
        resource_metadata(ISSUER, **algorithms) if who == "resource" else server_metadata(ISSUER, **algorithms)
    )
    assert (jar.failure().code, jar.mints) == ("dpop_alg_not_offered", 0)


def test_a_renewal_by_a_refresh_token_carries_a_proof() -> None:
    jar = Jar(dpop=True)
    jar.profile.refresh_token = Secret("r1")
    before = bound_to(jar)
    jar.advance(991)
    answer = issues("t2", "r2")
    jar.world.replies = [
        answer.__class__(status=200, headers=answer.headers, body=answer.body.replace(b"Bearer", b"DPoP"))
    ]
    assert bound_to(jar) == before
    assert jar.token().record.access_token == "t2"


# Certificates.


def test_a_renewed_certificate_means_another_record() -> None:
    jar = Jar()
    jar.world.shown_certificate = "one"
    jar.token()
    jar.advance(991)
    jar.world.shown_certificate = "two"
    jar.token()
    assert len(names(jar.store, "token.")) == 2
    again = Jar(store=jar.store, clock=jar.clock)
    again.world.shown_certificate = "two"
    assert again.token().record == jar.token().record
    assert again.mints == 0


def test_whoever_renews_a_token_holds_the_lease_of_the_one_with_the_same_certificate() -> None:
    store = SharedMemory()
    old, new = Jar(store=store), Jar(store=store)
    old.world.shown_certificate, new.world.shown_certificate = "old", "new"
    old.token()
    lease = store.acquire(names(store, "token.")[0], "somebody", 5.0)
    assert lease is not None
    assert new.token().generation == 1
    old.advance(991)
    caller = waiting(old.call())
    old.pump()
    assert not caller.done
    store.release(lease)
    old.advance(1)
    assert served(caller.outcome).generation == 2
