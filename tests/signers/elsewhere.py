"""What every signer of a key that lives elsewhere has to stand."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import jwt
import pytest
from integration.ways_in import SCOPES, auth_for, hello
from key_material import verifies

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer

DATA = b"header.claims"
PATIENCE_S = 30


def signs(signer, public_key, algorithm=None):
    """Whether it makes a signature that the public key verifies."""
    algorithm = algorithm or signer.algorithms[0]
    return verifies(algorithm, public_key, DATA, signer.sign(algorithm, DATA))


def public_key_of(signer):
    """The public key that it tells, as PyJWT reads it."""
    return jwt.PyJWK(signer.public_jwk, algorithm=signer.algorithms[0]).key


def gets_in(signer):
    """Whether the key gets a program into a protected server: registered, and as the one that tokens are bound to."""
    with (
        AuthorizationServer(dpop="required", dpop_nonce=True) as auth_server,
        ProtectedServer(auth_server, scopes=("mcp:read",), dpop="required", dpop_nonce=True) as mcp_server,
    ):
        auth_server.add_client("key-bot", jwks=[signer.public_jwk], scopes=SCOPES)
        auth = auth_for(mcp_server, gatepass.PrivateKeyJwt("key-bot", signer), dpop=signer)

        async def visit():
            async with httpx2.AsyncClient(auth=auth) as http:
                return await http.get(hello(mcp_server))

        with httpx2.Client(auth=auth) as http:
            return http.get(hello(mcp_server)).is_success and asyncio.run(visit()).is_success


def refusal(signer, error=gatepass.ConfigurationError, algorithm="ES256"):
    """What signing raises, which must not be chained to anything."""
    with pytest.raises(error) as caught:
        signer.sign(algorithm, DATA)
    assert type(caught.value) is error
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert repr(signer) in str(caught.value)
    assert caught.value.retryable == (error is gatepass.UnreachableError)
    return caught.value


def assert_signs_in_threads(signer, public_key):
    """Eight threads that begin at once all get signatures, each of its own data."""
    barrier = threading.Barrier(8)

    def sign(number):
        data = DATA + bytes([number])
        barrier.wait(PATIENCE_S)
        return all(verifies("ES256", public_key, data, signer.sign("ES256", data)) for _ in range(5))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sign, range(8))) == [True] * 8


def assert_stays_here(signer, *canaries):
    """It can't be pickled or copied, its repr shows no secret, and it must not sign in an event loop."""
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled or copied"):
            leave(signer)
    shown = repr(signer) + repr(vars(signer))
    assert not any(canary in shown for canary in canaries)
    assert signer.local is False


def assert_needs(signer, library, extra, monkeypatch):
    """Without its library it says how to install that."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(gatepass.ConfigurationError, match=rf"pip install 'gatepass\[{extra}\]'") as caught:
        signer.sign("ES256", DATA)
    assert caught.value.code == "extra_missing"
