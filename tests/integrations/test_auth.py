"""What only `Auth` itself adds: arguments that are checked, and a word for 401s that it does not see."""

from __future__ import annotations

import json
import pickle

import httpx2
import pytest

import gatepass

ENDPOINT = "https://mcp.example.com/mcp"
ISSUER = "https://as.example.com"
WAY_IN = gatepass.ClientCredentials(gatepass.ClientSecret("ci", "the-secret"))


class Issuing(httpx2.BaseTransport):
    """An authorization server that issues token-1, token-2 and so on."""

    def __init__(self) -> None:
        self.issued = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.issued += 1
        token = {"access_token": f"token-{self.issued}", "token_type": "Bearer", "expires_in": 300}
        return httpx2.Response(200, content=json.dumps(token), headers={"Content-Type": "application/json"})


def an_auth(server: Issuing) -> gatepass.Auth:
    http = gatepass.TokenHttp(transport=server)
    return gatepass.Auth(ENDPOINT, WAY_IN, issuer=ISSUER, token_endpoint=f"{ISSUER}/token", http=http)


def test_a_token_that_the_caller_reports_as_refused_is_renewed_once() -> None:
    server = Issuing()
    auth = an_auth(server)
    first = auth.token()
    assert auth.rejected(first)
    assert auth.token() == "token-2"
    assert auth.rejected(first), "the one that was refused has been replaced: try again with the new one"
    assert not auth.rejected("token-2"), "a renewal was forced just now"
    assert auth.token() == "token-2"
    assert server.issued == 2


def test_before_there_is_a_token_none_can_have_been_refused() -> None:
    assert not an_auth(Issuing()).rejected("whatever")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"resource": "mcp.example.com/mcp"}, "resource_invalid"),
        ({"profile": gatepass.ClientSecret("id", "secret")}, "profile_invalid"),
        ({"deadline_s": 0}, "deadline_invalid"),
        ({"issuer": "http://as.example.com"}, "insecure_url"),
        ({"token_endpoint": "http://as.example.com/token"}, "insecure_url"),
        ({"scopes": ["two words"]}, "scope_invalid"),
        ({"extra_parameters": {"client_secret": "x"}}, "extra_parameters_invalid"),
        ({"allow_endpoint_origins": ["nowhere"]}, "url_invalid"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(arguments: dict[str, object], code: str) -> None:
    given: dict[str, object] = {"resource": ENDPOINT, "profile": WAY_IN, **arguments}
    with pytest.raises(gatepass.ConfigurationError) as failure:
        gatepass.Auth(**given)  # type: ignore[arg-type]
    assert failure.value.code == code


def test_scopes_may_be_a_list_or_words() -> None:
    one = gatepass.Auth(ENDPOINT, WAY_IN, scopes="a b")
    other = gatepass.Auth(ENDPOINT, WAY_IN, scopes=["a", "b"])
    assert one._source.target == other._source.target


def test_the_url_keeps_its_query_and_the_resource_does_not() -> None:
    auth = gatepass.Auth(f"{ENDPOINT}?tenant=1", WAY_IN)
    assert (auth.url, auth.resource) == (f"{ENDPOINT}?tenant=1", ENDPOINT)


def test_an_auth_shows_no_secret_and_can_not_be_pickled() -> None:
    auth = an_auth(Issuing())
    auth.token()
    assert "the-secret" not in repr(auth)
    assert "token-1" not in repr(auth)
    with pytest.raises(TypeError):
        pickle.dumps(auth)
