"""A client assertion: what building it adds to the signature in it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mcp.client.auth.extensions.client_credentials import SignedJWTParameters

from benchmarks.results import FIXED, GATEPASS, SDK, Result, best, compare
from gatepass import Auth, ClientCredentials, PrivateKeyJwt
from gatepass.protocol.server import ServerMetadata

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.bench import Bench

__all__ = ["assertion"]

ISSUER = "https://auth.example.com"
A_CLAIM_SET = b"x" * 300
IN_A_ROW = 5


def assertion(bench: Bench) -> Iterator[Result]:
    """RS256 with 2048 bits, from the same PEM file, signed again and again as at each mint."""
    pem = bench.key_file.read_text()
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    client = PrivateKeyJwt("bench-key", bench.key_file)
    auth = Auth("https://mcp.example.com/mcp", ClientCredentials(client))
    world = auth._source.world  # noqa: SLF001 - in public, an assertion is only seen by the server
    server = ServerMetadata(issuer=ISSUER, token_endpoint=f"{ISSUER}/token")
    provider = SignedJWTParameters(issuer="bench-key", subject="bench-key", signing_key=pem).create_assertion_provider()
    client.authenticate(world, server)  # loads the key
    samples = {
        FIXED: _timed(lambda: key.sign(A_CLAIM_SET, PKCS1v15(), SHA256())),
        GATEPASS: _timed(lambda: client.authenticate(world, server)),
        SDK: _timed(lambda: _result(provider(ISSUER))),
    }
    seconds = best(samples, bench.rounds(200), patience_s=2.0)
    yield compare("an RS256 assertion, against the bare signature", seconds, at_most=1.1)


def _timed(action: Callable[[], object]) -> Callable[[], float]:
    def sample() -> float:
        start = perf_counter()
        for _ in range(IN_A_ROW):
            action()
        return (perf_counter() - start) / IN_A_ROW

    return sample


def _result(answer: Awaitable[str]) -> str:
    """What an awaitable that never waits returns."""
    try:
        next(answer.__await__())
    except StopIteration as end:
        return str(end.value)
    raise RuntimeError("It waited.")
