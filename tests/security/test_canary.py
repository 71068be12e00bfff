"""A canary in every secret, through every way that a program can go: nobody hears it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from types import MappingProxyType

import anyio
import httpx
import httpx2
import pytest
from integration.odd_servers import speaking
from integration.ways_in import auth_for, hello
from mcp import MCPError
from security.identities import (
    CLIENT_ID,
    IDENTITIES,
    basic,
    encrypted_key,
    key_file,
    key_text,
    new_assertion,
    new_jwk,
    new_key,
    new_secret,
    post,
    ready_made,
)
from security.indiscreet import ANSWERS, WORST, answer, assertion_in, hanging, resetting, speaking_with
from security.leak_detector import Canary, Witness
from security.program import CLEAN, HOUSE, NOWHERE, error_of, show, tries_once

import gatepass
from gatepass.identity import KubernetesToken
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble


def auth_at(server, client, **options):
    """An `Auth` that gets its tokens from an odd server, by a client's credentials or another way in."""
    where = {"issuer": server.origin, "token_endpoint": f"{server.origin}/token"}
    profile = client if hasattr(client, "grant") else gatepass.ClientCredentials(client)
    return tries_once(gatepass.Auth(NOWHERE, profile, http=gatepass.TokenHttp(timeout_s=0.1), **where, **options))


def enterprise_at(server, subject_token, **options):
    """The way in of a user whose identity provider is an odd server, too."""
    idp = gatepass.IdentityProvider(server.origin, OTHERS_CLIENT, token_endpoint=f"{server.origin}/token")
    return gatepass.EnterpriseAuthorization(OTHERS_CLIENT, idp=idp, subject_token=subject_token, **options)


OTHERS_CLIENT = gatepass.PublicClient(CLIENT_ID)
SOURCE_USES = {
    "client": lambda _server, source: gatepass.ClientAssertion(CLIENT_ID, source),
    "workload": lambda _server, source: gatepass.WorkloadIdentity(source),
    "user": enterprise_at,
    "saml": lambda server, source: enterprise_at(server, source, subject_token_type="saml2"),
}
"""What a ready-made assertion may be for."""

TYPICAL = (basic, post, key_file, ready_made)
MEETINGS = {
    **{f"{each.__name__}-{make.__name__}": (speaking_with(each), make) for each in ANSWERS for make in TYPICAL},
    **{f"{each.__name__}-{make.__name__}": (speaking_with(each), make) for each in WORST for make in IDENTITIES},
    **{f"{speak.__name__}-{make.__name__}": (speak, make) for speak in (hanging, resetting) for make in TYPICAL},
}


@pytest.mark.parametrize(("speak", "make"), MEETINGS.values(), ids=MEETINGS)
def test_an_indiscreet_server_gets_nothing_out_of_it(speak, make, given, around, monkeypatch, printed):
    identity = make(given, monkeypatch)
    with speaking(speak) as server, Witness(identity.canaries) as witness:
        auth = auth_at(server, identity.client, store=gatepass.FileStore(around / "store"))
        error = error_of(auth.token)
        witness.error(error)
        witness.error(error_of(auth.token), "the error of the second call")
        witness.error(error_of(lambda: asyncio.run(auth.atoken())), "the error of an asynchronous call")
        witness.thing(error)
        show(witness, auth, identity.client)
    assert error.code not in {"internal", "error"}
    for request in server.requests:
        if assertion := assertion_in(request):
            witness.watch(Canary(assertion, assertion.rpartition(".")[2]))
    witness.files(around)
    witness.text("what was printed", printed())
    assert server.requests
    assert witness.words > 20
    assert witness.leaks() == CLEAN


@pytest.mark.parametrize("make", IDENTITIES)
def test_a_token_is_kept_in_the_store_and_nowhere_else_and_nothing_else_in_the_store(
    make, given, around, monkeypatch, printed
):
    identity, token = make(given, monkeypatch), Canary(secrets.token_urlsafe(32))
    good = answer(200, {"access_token": token.value, "token_type": "Bearer", "expires_in": 3600})
    store = gatepass.FileStore(around / "store")
    with speaking(speaking_with(lambda _request: good)) as server, Witness([*identity.canaries, token]) as witness:
        auth = auth_at(server, identity.client, store=store)
        assert auth.token() == token.value
        assert asyncio.run(auth_at(server, identity.client, store=store).atoken()) == token.value
        show(witness, auth, identity.client)
        witness.thing(store)
        witness.thing(auth._source.held)
    witness.files(around, but=store.directory)
    witness.text("what was printed", printed())
    assert len(server.requests) == 1
    assert [where for where in witness.leaks() if "dumps of" not in where] == CLEAN  # held is nobody's but ours

    inside = Witness(identity.canaries)
    inside.files(store.directory)
    assert inside.words > 0
    assert inside.leaks() == CLEAN


def test_a_store_that_fails_with_what_it_was_given(printed):
    token, identity = Canary(secrets.token_urlsafe(32)), basic(None, None)
    good = answer(200, {"access_token": token.value, "token_type": "Bearer", "expires_in": 3600})

    class Indiscreet(gatepass.MemoryStore):
        def write(self, name, value, *, expect, fence=None):
            raise RuntimeError(value.decode())

    with speaking(speaking_with(lambda _request: good)) as server, Witness([*identity.canaries, token]) as witness:
        assert auth_at(server, identity.client, store=Indiscreet()).token() == token.value
    witness.text("what was printed", printed())
    assert witness.words
    assert witness.leaks() == CLEAN


def raises(error):
    def source(_audience):
        raise error

    return source


def raises_later(error):
    async def source(_audience):
        await asyncio.sleep(0)
        raise error

    return source


def returns(value):
    return lambda _audience: value


SOURCES = {
    "an exception": lambda secret: raises(ValueError(secret)),
    "an exit": lambda secret: raises(SystemExit(secret)),
    "a cancellation": lambda secret: raises(asyncio.CancelledError(secret)),
    "a group": lambda secret: raises(ExceptionGroup(secret, [ValueError(secret)])),
    "an exception, later": lambda secret: raises_later(ValueError(secret)),
    "an exit, later": lambda secret: raises_later(SystemExit(secret)),
    "a cancellation, later": lambda secret: raises_later(asyncio.CancelledError(secret)),
    "bytes": lambda secret: returns(secret.encode()),
    "a list": lambda secret: returns([secret]),
    "no JWT": returns,
    "an expired JWT": lambda _secret: returns(None),
}


@pytest.mark.parametrize(
    ("kind", "use"),
    [
        (kind, use) for kind in SOURCES for use in SOURCE_USES if use != "saml" or "JWT" not in kind
    ],  # it need not be one
)
def test_a_callable_that_fails_with_the_secret_in_its_mouth(kind, use, printed):
    expired = new_assertion(exp=1)
    canary = expired if kind == "an expired JWT" else new_secret()
    source = returns(expired.value) if kind == "an expired JWT" else SOURCES[kind](canary.value)
    with speaking(speaking_with(lambda _request: b"")) as server, Witness([canary]) as witness:
        client = SOURCE_USES[use](server, source)
        auth = auth_at(server, client)
        for _ in range(2):
            error = error_of(auth.token)
            witness.error(error)
        show(witness, auth, client)
    witness.text("what was printed", printed())
    assert isinstance(error, gatepass.ConfigurationError)
    assert server.requests == []
    assert witness.leaks() == CLEAN


@pytest.mark.parametrize("problem", [ValueError, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("use", ["client", "dpop"])
def test_a_signer_that_fails_with_the_secret_in_its_mouth(problem, use, printed):
    canary = new_secret()
    public = {name: value for name, value in new_jwk()[0].items() if name != "d"}

    class Signer:
        algorithms = ("ES256",)
        public_jwk = MappingProxyType(public)

        def sign(self, algorithm, data):
            raise problem(canary.value)

    with speaking(speaking_with(lambda _request: b"")) as server, Witness([canary]) as witness:
        client = gatepass.PrivateKeyJwt(CLIENT_ID, Signer()) if use == "client" else OTHERS_CLIENT
        auth = auth_at(server, client, dpop=Signer() if use == "dpop" else False)
        error = error_of(auth.token)
        witness.error(error)
        show(witness, auth)
    witness.text("what was printed", printed())
    assert error.code == "signer_failed"
    assert witness.leaks() == CLEAN


FILES = {
    "a secret that is not UTF-8": lambda secret: secret.encode() + b"\xff\xfe",
    "two lines": lambda secret: f"{secret}\n{secret}".encode(),
    "a key without its end": lambda secret: f"-----BEGIN PRIVATE KEY-----\n{secret}".encode(),
    "a key that is none": lambda secret: f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----".encode(),
    "a JWK that is none": lambda secret: f'{{"kty": "EC", "crv": "P-256", "d": "{secret}"}}'.encode(),
    "half a JWK": lambda secret: f'{{"kty": "EC", "d": "{secret}'.encode(),
    "a JWK of wrong types": lambda secret: f'{{"kty": "{secret}", "use": ["{secret}"], "alg": "{secret}"}}'.encode(),
}


FILE_USES = {
    "secret": lambda _server, file: (gatepass.ClientSecret(CLIENT_ID, gatepass.Secret.file(file)), {}),
    "key": lambda _server, file: (gatepass.PrivateKeyJwt(CLIENT_ID, file), {}),
    "pod": lambda _server, file: (gatepass.WorkloadIdentity(KubernetesToken(path=file)), {}),
    "dpop": lambda _server, file: (OTHERS_CLIENT, {"dpop": file}),
    **{
        use: lambda server, file, make=make: (make(server, gatepass.Secret.file(file)), {})
        for use, make in SOURCE_USES.items()
    },
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("use", FILE_USES)
def test_a_file_that_will_not_do_is_not_quoted(kind, use, given, printed):
    canary, file = new_secret(), given / "file"
    file.write_bytes(FILES[kind](canary.value))
    with speaking(speaking_with(lambda _request: answer(400, {"error": "invalid_client"}))) as server:
        with Witness([canary]) as witness:
            client, options = FILE_USES[use](server, file)
            auth = auth_at(server, client, **options)
            witness.error(error_of(auth.token))
            show(witness, auth, client)
        witness.text("what was printed", printed())
    assert witness.leaks() == CLEAN


def test_a_password_that_does_not_open_the_key(printed):
    wrong, key = new_secret(), new_key("the right one")
    with speaking(speaking_with(lambda _request: b"")) as server, Witness([wrong, key]) as witness:
        client = gatepass.PrivateKeyJwt(CLIENT_ID, key.value, password=wrong.value)
        error = error_of(auth_at(server, client).token)
        witness.error(error)
    witness.text("what was printed", printed())
    assert error.code == "key_password_wrong"
    assert witness.leaks() == CLEAN


def auth_with(**options):
    return gatepass.Auth(NOWHERE, gatepass.ClientCredentials(OTHERS_CLIENT), **options)


def enterprise(client=OTHERS_CLIENT, subject_token="an identity", **options):
    options = {"idp": gatepass.IdentityProvider("https://idp.example.com", OTHERS_CLIENT), **options}
    return gatepass.EnterpriseAuthorization(client, subject_token=subject_token, **options)


MISTAKES = {
    "bytes for a secret": lambda canary: gatepass.ClientSecret(CLIENT_ID, canary.value.encode()),
    "a secret in a list": lambda canary: gatepass.ClientSecret(CLIENT_ID, [canary.value]),
    "a secret with a line break": lambda canary: gatepass.ClientSecret(CLIENT_ID, f"{canary.value}\n"),
    "a secret without a client": lambda canary: gatepass.ClientSecret("", canary.value),
    "a secret with an odd method": lambda canary: gatepass.ClientSecret(CLIENT_ID, canary.value, "basic"),
    "a Secret of bytes": lambda canary: gatepass.Secret(canary.value.encode()),
    "a key that is none": lambda canary: gatepass.PrivateKeyJwt(CLIENT_ID, canary.value),
    "a key in bytes that is none": lambda canary: gatepass.PrivateKeyJwt(CLIENT_ID, canary.value.encode()),
    "a JWK that is none": lambda canary: gatepass.PrivateKeyJwt(
        CLIENT_ID, {"kty": "EC", "d": canary.value, "x": object()}
    ),
    "a key in a list": lambda canary: gatepass.PrivateKeyJwt(CLIENT_ID, [canary.value]),
    "a password in bytes": lambda canary: gatepass.PrivateKeyJwt(
        CLIENT_ID, new_key().value, password=canary.value.encode()
    ),
    "a key without a client": lambda canary: gatepass.PrivateKeyJwt("", new_key().value, password=canary.value),
    "an odd algorithm": lambda canary: gatepass.PrivateKeyJwt(
        CLIENT_ID, new_key().value, password=canary.value, algorithm="none"
    ),
    "an assertion in bytes": lambda canary: gatepass.ClientAssertion(CLIENT_ID, canary.value.encode()),
    "an assertion without a client": lambda canary: gatepass.ClientAssertion("", canary.value),
    "a client for a profile": lambda canary: gatepass.Auth(NOWHERE, gatepass.ClientSecret(CLIENT_ID, canary.value)),
    "a secret for a client": lambda canary: gatepass.ClientCredentials(canary.value),
    "a DPoP key that is none": lambda canary: auth_with(dpop=canary.value),
    "a DPoP key in bytes that is none": lambda canary: auth_with(dpop=canary.value.encode()),
    "a DPoP key in a list": lambda canary: auth_with(dpop=[canary.value]),
    "a DPoP key and no time": lambda canary: auth_with(dpop=f"-----BEGIN {canary.value}", deadline_s=0),
    "a workload's JWT in bytes": lambda canary: gatepass.WorkloadIdentity(canary.value.encode()),
    "a workload's JWT for nobody": lambda canary: gatepass.WorkloadIdentity(canary.value, audience=""),
    "a workload's client in bytes": lambda canary: gatepass.WorkloadIdentity("jwt", client=canary.value.encode()),
    "a workload without a name": lambda canary: gatepass.Auth(
        NOWHERE, gatepass.WorkloadIdentity(canary.value), store=gatepass.FileStore()
    ),
    "a user's identity in bytes": lambda canary: enterprise(subject_token=canary.value.encode()),
    "a user's identity of an odd type": lambda canary: enterprise(
        subject_token=canary.value, subject_token_type="password"
    ),
    "a secret for a user's client": lambda canary: enterprise(client=canary.value),
    "a secret for an identity provider": lambda canary: enterprise(idp=canary.value),
    "a secret for a client at one": lambda canary: gatepass.IdentityProvider("https://idp.example.com", canary.value),
    "a person's client in bytes": lambda canary: gatepass.AuthorizationCode(canary.value.encode()),
    "a person's client in a list": lambda canary: gatepass.AuthorizationCode([canary.value]),
    "a person's client and no time": lambda canary: gatepass.AuthorizationCode(
        gatepass.ClientSecret(CLIENT_ID, canary.value), timeout_s=0
    ),
    "an Auth without a resource": lambda canary: gatepass.Auth(
        "mcp", gatepass.ClientCredentials(gatepass.ClientSecret(CLIENT_ID, canary.value))
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_with_a_secret_shows_it_to_nobody(mistake):
    canary = new_secret()
    with Witness([canary]) as witness:
        witness.error(error_of(lambda: MISTAKES[mistake](canary)))
    assert witness.leaks() == CLEAN


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_error_of_a_mistake_can_be_shown_with_its_locals(mistake):
    error = error_of(lambda: MISTAKES[mistake](new_secret()))
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "".join(shown.format()).endswith(f"{error}\n")


@pytest.mark.parametrize("make", [basic, post, key_text, encrypted_key])
def test_what_is_held_in_the_hand_can_not_be_pickled_or_copied_with_its_secret(make):
    import copy
    import pickle

    identity = make(None, None)
    auth = gatepass.Auth(NOWHERE, gatepass.ClientCredentials(identity.client))
    for thing in (auth, identity.client, auth._source.profile, *auth._source.profile.secrets, gatepass.MemoryStore()):
        for way in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="pickled"):
                way(thing)


TROUBLES = {
    "none": None,
    "401": Trouble(status=401),
    "403": Trouble(status=403),
    "500": Trouble(status=500),
    "a reset": Trouble(connection="reset"),
    "half an answer": Trouble(connection="truncate"),
}


class TestTheWholeWay:
    """With real servers: discovery, token, requests; and what a user sees when one of them fails."""

    @pytest.fixture
    def place(self):
        canary = new_secret()
        with AuthorizationServer(token_format="opaque") as auth_server, ProtectedServer(auth_server) as mcp_server:
            auth_server.add_client(CLIENT_ID, secret=canary.value)
            yield mcp_server, gatepass.ClientSecret(CLIENT_ID, canary.value), canary

    @pytest.fixture
    def witness(self, place):
        with Witness([place[2]]) as witness:
            yield witness

    def token_of(self, auth):
        return Canary(auth.token())

    @pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
    @pytest.mark.parametrize("library", [httpx2, httpx])
    def test_requests_of_a_users_own_client(self, place, witness, trouble, library, printed, around):
        mcp_server, client, _ = place
        auth = tries_once(auth_for(mcp_server, client, store=gatepass.FileStore(around / "store")))
        witness.watch(self.token_of(auth))
        mcp_server.trouble = trouble
        as_auth = auth if library is httpx2 else auth.for_httpx()

        async def visit():
            async with library.AsyncClient(auth=as_auth) as http:
                await http.get(hello(mcp_server))

        def visit_sync():
            with library.Client(auth=as_auth) as http:
                witness.thing(http)
                http.get(hello(mcp_server))

        for program in (visit_sync, lambda: asyncio.run(visit())):
            try:
                program()
            except library.TransportError as error:  # its frames hold the user's own request
                witness.error(error, frames_in=HOUSE)
        witness.files(around, but=around / "store")
        witness.text("what was printed", printed())
        assert witness.words > 50
        assert witness.leaks() == CLEAN

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @pytest.mark.parametrize("status", [401, 403, 503])
    def test_sessions(self, place, witness, status, backend, printed):
        mcp_server, client, _ = place
        auth = tries_once(auth_for(mcp_server, client))
        witness.watch(self.token_of(auth))

        async def program():
            async with gatepass.connect(auth, mode="2026-07-28") as mcp:
                await mcp.list_tools()
                mcp_server.authorization_server.revoke_all()
                mcp_server.authorization_server.trouble = Trouble(status=status, body={"error": "server_error"})
                with pytest.raises(MCPError) as caught:
                    await mcp.call_tool("echo", {"text": "a"})
                witness.error(caught.value, frames_in=HOUSE)
                witness.thing(caught.value.error)
                witness.error(gatepass.authorization_error(caught.value))

        anyio.run(program, backend=backend)
        witness.text("what was printed", printed())
        assert witness.leaks() == CLEAN

    def test_a_refused_connection(self, place, witness, printed):
        mcp_server, client, _ = place
        mcp_server.authorization_server.add_client(CLIENT_ID, secret="another one")
        auth = auth_for(mcp_server, client)

        async def program():
            async with gatepass.connect(auth):
                pytest.fail("nobody gets in")

        with pytest.raises(gatepass.RemoteError) as caught:
            anyio.run(program)
        witness.error(caught.value, frames_in=HOUSE)
        witness.text("what was printed", printed())
        assert witness.leaks() == CLEAN


def test_the_witness_hears_the_very_loggers_that_gatepass_uses():
    with Witness() as witness, AuthorizationServer() as auth_server, ProtectedServer(auth_server) as mcp_server:
        auth_server.add_client(CLIENT_ID, secret="s3cret")
        auth = auth_for(mcp_server, issuer=None, client=gatepass.ClientSecret(CLIENT_ID, "s3cret"))
        with httpx2.Client(auth=auth) as http:
            http.get(hello(mcp_server))
    heard = {where for where, _ in witness._heard}
    assert {"the log of gatepass", "the log of httpx2"} <= heard
    assert logging.getLogger("gatepass").level == logging.NOTSET
