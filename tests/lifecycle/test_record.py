"""What is stored comes back as it was; what can't be read says so and quotes nothing."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepass.discovery import Discovery, KnownServer
from gatepass.errors import StoreError
from gatepass.lifecycle.record import GeneratedKey, TokenRecord, decode, encode
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.server import ServerMetadata

TOKEN = TokenRecord(
    generation=7,
    access_token="the-token",
    token_type="Bearer",
    obtained_at=1_700_000_000.25,
    lifetime_s=3600.0,
    refresh_in_s=None,
    scope=("a", "b"),
    requested=("a",),
    issuer="https://as.example.com",
    resource="https://mcp.example.com/mcp",
)
DISCOVERY = Discovery(
    resource="https://mcp.example.com/mcp",
    scopes_supported=None,
    server=ServerMetadata(issuer="https://as.example.com", token_endpoint="https://as.example.com/token"),
    fetched_at=1_700_000_000.0,
    cache_s=300.0,
)
CHALLENGE = ResourceChallenge(scheme="bearer", resource_metadata=None, scope=("a",), error=None, error_description=None)


BOUND = msgspec.structs.replace(
    TOKEN,
    token_type="DPoP",
    stepped=("c",),
    refresh_token="the-refresh-token",
    key_thumbprint="a-thumbprint",
    key_algorithm="ES256",
)
GENERATED = GeneratedKey(jwk='{"kty": "EC", "d": "the-key"}')
SERVER = KnownServer(server=DISCOVERY.server, fetched_at=1_700_000_000.0, cache_s=300.0)
BINDING = msgspec.structs.replace(DISCOVERY, dpop_required=True, dpop_algorithms=("ES256",))
RECORDS = [TOKEN, BOUND, DISCOVERY, BINDING, SERVER, CHALLENGE, GENERATED]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_as_it_was(record: object) -> None:
    assert decode(encode(record), type(record)) == record


NEWER = {
    TOKEN: ("stepped", "refresh_token", "key_thumbprint", "key_algorithm"),
    DISCOVERY: ("dpop_required", "dpop_algorithms"),
}


@pytest.mark.parametrize("record", NEWER, ids=lambda record: type(record).__name__)
def test_a_record_of_an_earlier_version_is_read(record: object) -> None:
    members = json.loads(encode(record))
    for name in NEWER[record]:
        members.pop(name, None)
    assert decode(json.dumps(members).encode(), type(record)) == record


@pytest.mark.parametrize("record", [TOKEN, BOUND, GENERATED], ids=lambda record: type(record).__name__)
def test_a_record_does_not_show_a_token_or_a_key(record: object) -> None:
    assert "the-" not in repr(record)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused_without_being_quoted(value: bytes) -> None:
    with pytest.raises(StoreError) as failure:
        decode(b"canary" + value, TokenRecord)
    assert failure.value.code == "record_invalid"
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize(("age_s", "fresh"), [(-1.0, False), (0.0, True), (299.9, True), (300.0, False)])
def test_what_was_discovered_is_used_until_it_is_too_old(age_s: float, *, fresh: bool) -> None:
    assert DISCOVERY.fresh(DISCOVERY.fetched_at + age_s) is fresh
