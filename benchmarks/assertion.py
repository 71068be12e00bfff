"""A client assertion: what building it adds to the signature in it."""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey
from jwskate import Jwk
from mcp.client.auth.extensions.client_credentials import SignedJWTParameters
from requests_oauth2client import PrivateKeyJwt as RequestsPrivateKeyJwt

from benchmarks.contenders import GATEPASS
from benchmarks.results import best, compare, yardstick_of
from gatepass import Auth, ClientCredentials, PrivateKeyJwt
from gatepass.protocol.server import ServerMetadata

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.results import Result

__all__ = ["assertion"]

ISSUER = "https://auth.example.com"
CLIENT_ID = "bench-key"
A_CLAIM_SET = b"x" * 300
IN_A_ROW = 5
NO_METHOD = "It has no private_key_jwt."
NOTES = {"FastMCP": "It takes the official SDK's.", "httpx-auth": NO_METHOD, "google-auth": NO_METHOD}


def assertion(bench: Bench) -> Iterator[Result]:
    """RS256 with 2048 bits, from the same PEM file, signed again and again as at each mint."""
    pem = bench.key_file.read_text()
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    samples = {
        yardstick_of(GATEPASS): lambda: key.sign(A_CLAIM_SET, PKCS1v15(), SHA256()),
        GATEPASS: _gatepass(bench),
        "official SDK": _official_sdk(pem),
        "authlib": _authlib(pem),
        "requests-oauth2client": _requests_oauth2client(pem),
    }
    seconds = best({name: _timed(sign) for name, sign in samples.items()}, bench.rounds(200), patience_s=3.0)
    seconds[yardstick_of("requests-oauth2client")] = seconds[yardstick_of(GATEPASS)]
    yield compare("assertion", "an RS256 assertion, against its bare signature", seconds, at_most=1.1, notes=NOTES)


def _gatepass(bench: Bench) -> Callable[[], object]:
    client = PrivateKeyJwt(CLIENT_ID, bench.key_file)
    auth = Auth("https://mcp.example.com/mcp", ClientCredentials(client))
    world = auth._source.world  # noqa: SLF001 - in public, an assertion is only seen by the server
    server = ServerMetadata(issuer=ISSUER, token_endpoint=f"{ISSUER}/token")
    client.authenticate(world, server)  # loads the key
    return lambda: client.authenticate(world, server)


def _official_sdk(pem: str) -> Callable[[], object]:
    provider = SignedJWTParameters(issuer=CLIENT_ID, subject=CLIENT_ID, signing_key=pem).create_assertion_provider()
    return lambda: _result(provider(ISSUER))


def _authlib(pem: str) -> Callable[[], object]:
    client, method = ClientAuth(CLIENT_ID, RSAKey.import_key(pem)), PrivateKeyJWT(ISSUER)
    return lambda: method.sign(client, ISSUER)


def _requests_oauth2client(pem: str) -> Callable[[], object]:
    method = RequestsPrivateKeyJwt(CLIENT_ID, Jwk.from_pem(pem).with_kid_thumbprint(), alg="RS256")
    return lambda: method.client_assertion(ISSUER)


def _timed(action: Callable[[], object]) -> Callable[[], float]:
    def sample() -> float:
        start = thread_time()
        for _ in range(IN_A_ROW):
            action()
        return (thread_time() - start) / IN_A_ROW

    return sample


def _result(answer: Awaitable[str]) -> str:
    """What an awaitable that never waits returns."""
    try:
        next(answer.__await__())
    except StopIteration as end:
        return str(end.value)
    raise RuntimeError("It waited.")
