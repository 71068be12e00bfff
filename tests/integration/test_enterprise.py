"""A user gets in as the employer's identity provider allows (SEP-990): RFC 8693, then RFC 7523."""

from __future__ import annotations

import httpx2
import pytest
from integration.patience import eventually
from integration.ways_in import hello

import gatepass
from gatepass.testing import AuthorizationServer, ProtectedServer, Trouble

SCOPES = ("mcp:read", "mcp:write")


@pytest.fixture
def idp(auth_server):
    """The identity provider, which knows the client by another name and another secret."""
    with AuthorizationServer(path="/realms/acme", resources=None) as server:
        server.add_client(
            "bot-at-idp", secret="idp s3cret", grants=("urn:ietf:params:oauth:grant-type:token-exchange",)
        )
        server.map_client("bot-at-idp", auth_server.issuer, "ci-bot")
        server.issue_id_token("alice", "bot-at-idp")
        auth_server.add_trusted_issuer(server.issuer, server.jwks)
        yield server


@pytest.fixture
def auth_server():
    with AuthorizationServer() as server:
        server.add_client(
            "ci-bot",
            secret="s3cret",
            grants=("urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token"),
            scopes=SCOPES,
        )
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",)) as server:
        yield server


class Desk:
    """Where a program gets a user's ID token, anew each time."""

    def __init__(self, idp, **options):
        self.idp = idp
        self.options = options
        self.visits = []

    def __call__(self, client_id):
        self.visits.append(client_id)
        return self.idp.issue_id_token("alice", client_id, **self.options)


def auth_for(mcp_server, idp, subject_token, *, options=None, **more):
    way_in = gatepass.EnterpriseAuthorization(
        gatepass.ClientSecret("ci-bot", "s3cret"),
        idp=gatepass.IdentityProvider(idp.issuer, gatepass.ClientSecret("bot-at-idp", "idp s3cret")),
        subject_token=subject_token,
        **(options or {}),
    )
    return gatepass.Auth(mcp_server.url, way_in, issuer=mcp_server.authorization_server.issuer, **more)


def get(auth, url):
    with httpx2.Client(auth=auth) as http:
        return http.get(url)


def test_an_id_token_becomes_an_id_jag_and_that_a_token(mcp_server, auth_server, idp):
    assert get(auth_for(mcp_server, idp, Desk(idp)), hello(mcp_server)).json() == {"hello": "ci-bot"}
    (exchange,) = [record for record in idp.requests if record.path == "/realms/acme/token"]
    assert exchange.grant_type == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert (exchange.resource, exchange.scope) == (mcp_server.url, "mcp:read")
    (grant,) = [record for record in auth_server.requests if record.path == "/token"]
    assert grant.grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_each_renewal_takes_both_steps_and_reads_the_identity_providers_metadata_once(mcp_server, auth_server, idp):
    desk = Desk(idp)
    auth = auth_for(mcp_server, idp, desk)
    for _ in range(2):
        assert get(auth, hello(mcp_server)).status_code == 200
        auth_server.revoke_all()
    assert get(auth, hello(mcp_server)).status_code in (200, 401)  # a third within five seconds is not forced
    assert desk.visits == ["bot-at-idp"] * 2
    assert (idp.count("token"), auth_server.count("token")) == (2, 2)
    assert idp.count("metadata", status=200) == 1


def test_a_refresh_token_spares_the_identity_provider(mcp_server, auth_server, idp):
    auth_server.refresh_tokens = "rotating"
    auth_server.token_lifetime_s = 1.0
    auth = auth_for(mcp_server, idp, Desk(idp))
    tokens = {auth.token()}
    eventually(lambda: tokens.add(auth.token()) or len(tokens) > 2, "two renewals")
    assert idp.count("token") == 1


def test_a_saml_assertion_is_an_identity_too(mcp_server, idp):
    idp.add_saml_assertion("PHNhbWw+", "alice")
    auth = auth_for(mcp_server, idp, "PHNhbWw+", options={"subject_token_type": "saml2"})
    assert get(auth, hello(mcp_server)).status_code == 200


def test_the_token_endpoint_may_be_given_and_then_no_metadata_is_read(mcp_server, auth_server, idp):
    provider = gatepass.IdentityProvider(
        idp.issuer, gatepass.ClientSecret("bot-at-idp", "idp s3cret"), token_endpoint=idp.token_endpoint
    )
    way_in = gatepass.EnterpriseAuthorization(
        gatepass.ClientSecret("ci-bot", "s3cret"), idp=provider, subject_token=Desk(idp)
    )
    auth = gatepass.Auth(mcp_server.url, way_in, issuer=auth_server.issuer)
    assert get(auth, hello(mcp_server)).status_code == 200
    assert idp.count("metadata") == 0


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda idp, auth_server: idp.remove_client("bot-at-idp"), "invalid_client"),
        (lambda idp, auth_server: setattr(idp, "id_jag_audiences", frozenset()), None),
        (lambda idp, auth_server: auth_server.add_trusted_issuer(idp.issuer, auth_server.jwks), "invalid_grant"),
        (lambda idp, auth_server: idp.map_client("bot-at-idp", auth_server.issuer, "another"), "invalid_grant"),
    ],
    ids=["unknown at the provider", "not for this server", "not the provider's key", "for another client"],
)
def test_a_refusal_of_either_is_told_with_its_reason_and_is_final(mcp_server, auth_server, idp, break_it, error):
    auth = auth_for(mcp_server, idp, idp.issue_id_token("alice", "bot-at-idp"))
    break_it(idp, auth_server)
    with pytest.raises(gatepass.RemoteError) as refused:
        auth.token()
    assert refused.value.by == "authorization_server"
    assert not refused.value.retryable
    assert error is None or refused.value.error == error
    before = idp.count("token") + auth_server.count("token")
    with pytest.raises(gatepass.RemoteError):
        auth.token()
    assert idp.count("token") + auth_server.count("token") == before


def test_an_identity_that_has_ended_is_not_sent(mcp_server, idp):
    with pytest.raises(gatepass.ConfigurationError) as refused:
        auth_for(mcp_server, idp, Desk(idp, lifetime_s=-60)).token()
    assert refused.value.code == "assertion_expired"
    assert idp.count("token") == 0


def test_an_identity_provider_in_trouble_is_tried_again(mcp_server, idp):
    idp.trouble = Trouble(status=503, times=1)
    assert auth_for(mcp_server, idp, Desk(idp)).token()
    assert idp.count("token") == 2


def test_something_else_than_an_id_jag_is_refused(mcp_server, auth_server, idp):
    idp.trouble = Trouble(replace={"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
    with pytest.raises(gatepass.RemoteError) as refused:
        auth_for(mcp_server, idp, Desk(idp)).token()
    assert refused.value.code == "issued_token_type_mismatch"
    assert auth_server.count("token") == 0
