"""Clients that are authorized already: token and proof stay in the resource, hop by hop, and certificates are shown."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from key_material import pem
from proofs import read_proof
from wire import Authority, Wire, response, says

import gatepass
from gatepass.keys import parse_private_key

ENDPOINT = "https://mcp.example.com/mcp"
ISSUER = "https://as.example.com"
WAY_IN = gatepass.ClientCredentials(gatepass.ClientSecret("ci", "the-secret"))


def issue(request: httpx2.Request) -> httpx2.Response:
    token_type = "DPoP" if "DPoP" in request.headers else "Bearer"
    return httpx2.Response(200, json={"access_token": "t", "token_type": token_type, "expires_in": 300})


def an_auth(**options: Any) -> gatepass.Auth:
    http = gatepass.TokenHttp(transport=httpx2.MockTransport(issue))
    options = {"http": http, "scopes": ["a"], "token_endpoint": f"{ISSUER}/token", **options}
    return gatepass.Auth(ENDPOINT, WAY_IN, issuer=ISSUER, **options)


class Redirecting:
    """A place where some URLs lead on to others; it keeps what it was asked."""

    def __init__(self, hops: dict[str, tuple[int, str]]) -> None:
        self.hops = hops
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        seen = sum(str(each.url) == str(request.url) for each in self.requests)
        status, to = self.hops.get(f"{request.url}#{seen}", self.hops.get(str(request.url), (200, "")))
        return httpx2.Response(status, headers={"Location": to, "DPoP-Nonce": f"n{len(self.requests)}"})

    @property
    def seen(self) -> list[tuple[str, str | None, str | None]]:
        """Method, scheme of the token, and what the proof is for, of each request."""
        return [
            (
                request.method,
                (request.headers.get("Authorization") or "").partition(" ")[0] or None,
                self._proof(request),
            )
            for request in self.requests
        ]

    @staticmethod
    def _proof(request: httpx2.Request) -> str | None:
        proof = request.headers.get("DPoP")
        claims = read_proof(proof).claims if proof else None
        return f"{claims['htm']} {claims['htu']}" if claims else None


def by_client(auth: gatepass.Auth, place: Redirecting, method: str = "GET", url: str = "") -> httpx2.Response:
    with gatepass.AuthorizedClient(auth, transport=httpx2.MockTransport(place), follow_redirects=True) as client:
        return client.request(method, url)


def by_async_client(auth: gatepass.Auth, place: Redirecting, method: str = "GET", url: str = "") -> httpx2.Response:
    async def program() -> httpx2.Response:
        transport = httpx2.MockTransport(place)
        async with gatepass.AuthorizedAsyncClient(auth, transport=transport, follow_redirects=True) as client:
            return await client.request(method, url)

    return asyncio.run(program())


both = pytest.mark.parametrize("by", [by_client, by_async_client])
By = Callable[..., httpx2.Response]


@both
def test_inside_the_resource_each_hop_has_a_proof_of_its_own(by: By) -> None:
    place = Redirecting({ENDPOINT: (307, f"{ENDPOINT}/x?y=z"), f"{ENDPOINT}/x?y=z": (308, f"{ENDPOINT}/x?z=y")})
    by(an_auth(dpop=True), place, "POST")
    assert place.seen == [
        ("POST", "DPoP", f"POST {ENDPOINT}"),
        ("POST", "DPoP", f"POST {ENDPOINT}/x"),
        ("POST", "DPoP", f"POST {ENDPOINT}/x"),
    ]
    assert len({read_proof(request.headers["DPoP"]).jti for request in place.requests}) == 3


@both
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_hop_that_changes_the_method_says_so_in_its_proof(by: By, status: int) -> None:
    place = Redirecting({f"{ENDPOINT}#1": (status, ENDPOINT)})
    assert by(an_auth(dpop=True), place, "POST").status_code == 200
    assert place.seen == [("POST", "DPoP", f"POST {ENDPOINT}"), ("GET", "DPoP", f"GET {ENDPOINT}")]


@both
@pytest.mark.parametrize("to", ["https://mcp.example.com/other", "https://evil.net/mcp"])
def test_outside_of_it_token_and_proof_are_gone_and_do_not_come_back(by: By, to: str) -> None:
    place = Redirecting({ENDPOINT: (307, to), to: (307, f"{ENDPOINT}/x")})
    by(an_auth(dpop=True), place)
    assert place.seen == [("GET", "DPoP", f"GET {ENDPOINT}"), ("GET", None, None), ("GET", None, None)]


@both
def test_a_bearer_token_goes_along_as_it_is(by: By) -> None:
    place = Redirecting({ENDPOINT: (307, f"{ENDPOINT}/x")})
    by(an_auth(), place)
    assert place.seen == [("GET", "Bearer", None)] * 2


@both
def test_a_hop_whose_key_lives_elsewhere_is_proven_too(by: By) -> None:
    key = parse_private_key(pem("P-256"), None, origin="key")

    class Signer:
        algorithms = key.algorithms
        public_jwk = key.public_jwk

        def sign(self, algorithm: str, data: bytes) -> bytes:
            return key.sign(algorithm, data)

    place = Redirecting({ENDPOINT: (307, f"{ENDPOINT}/x")})
    by(an_auth(dpop=Signer()), place)
    assert place.seen == [("GET", "DPoP", f"GET {ENDPOINT}"), ("GET", "DPoP", f"GET {ENDPOINT}/x")]


# Certificates.


def token_server(path: Path, ca: Authority, wire: Wire) -> gatepass.Auth:
    http = gatepass.TokenHttp(verify=ca.bundle, cert=path)
    return gatepass.Auth(wire.url, WAY_IN, issuer=wire.url.removesuffix("/token"), token_endpoint=wire.url, http=http)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_they_show_the_certificate_that_the_token_is_bound_to(tmp_path: Path, asynchronous: bool) -> None:
    ca = Authority(tmp_path)
    token = json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 300}).encode()
    with Wire(says(response(token, b"Content-Type: application/json")), tls=ca.server(clients=True)) as wire:
        auth = token_server(ca.issue("ci-bot"), ca, wire)
        auth.token()

        async def program() -> int:
            async with gatepass.AuthorizedAsyncClient(auth) as client:
                return (await client.get("")).status_code

        if asynchronous:
            assert asyncio.run(program()) == 200
        else:
            with gatepass.AuthorizedClient(auth) as client:
                assert client.get("").status_code == 200
        assert wire.peers == [{"commonName": "ci-bot"}] * 2


def test_a_context_or_transport_of_the_users_stands(tmp_path: Path) -> None:
    auth = an_auth(http=gatepass.TokenHttp(cert=tmp_path / "missing.pem"))
    with gatepass.AuthorizedClient(auth, verify=ssl.create_default_context()):
        pass
    with gatepass.AuthorizedClient(auth, transport=httpx2.MockTransport(issue)):
        pass
    with pytest.raises(gatepass.ConfigurationError):
        gatepass.AuthorizedClient(auth)
