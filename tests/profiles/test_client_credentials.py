"""Client credentials, from what is known to a token, in a scripted world."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

import pytest
from scripted import ScriptedWorld

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.target import Target
from gatepass.discovery import Discovery
from gatepass.errors import ConfigurationError, RemoteError, UnreachableError
from gatepass.profiles.base import Known, Obtained
from gatepass.profiles.client_credentials import ClientCredentials
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.server import ServerMetadata

RS = "https://mcp.example.com/mcp"
AS = "https://as.example.com"
TOKEN = f"POST {AS}/token"
PROFILE = ClientCredentials(ClientSecret("ci", "the-secret"))


def answer(document: dict[str, Any] | None = None, *, status: int = 200, **headers: str) -> HttpResponse:
    kind = (("Content-Type", "application/json"), *headers.items())
    return HttpResponse(status=status, headers=kind, body=json.dumps(document or {}).encode())


ISSUED = answer({"access_token": "the-token", "token_type": "Bearer", "expires_in": 60})


def discovered(**members: Any) -> Discovery:
    return Discovery(
        resource=RS,
        scopes_supported=("meta:a", "meta:b"),
        server=ServerMetadata(issuer=AS, token_endpoint=f"{AS}/token", **members),
        fetched_at=1_699_999_900.0,
        cache_s=300.0,
    )


def target(**fields: Any) -> Target:
    return Target(endpoint=RS, **({"issuer": AS} | fields))


def challenged(*scope: str) -> ResourceChallenge:
    return ResourceChallenge(scheme="bearer", resource_metadata=None, scope=scope, error=None, error_description=None)


def obtain(world: ScriptedWorld, where: Target | None = None, **known: Any) -> Obtained:
    return PROFILE.obtain(world, where or target(), Known(**({"discovery": discovered()} | known)))


def form(request: HttpRequest) -> dict[str, list[str]]:
    return parse_qs(request.body.decode(), strict_parsing=True)


def test_a_known_way_takes_one_request() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        obtained = obtain(world)
    assert obtained.issued.token.access_token.reveal() == "the-token"
    assert obtained.issued.sent == world.now()
    assert form(world.requests[0]) == {
        "grant_type": ["client_credentials"],
        "scope": ["meta:a meta:b"],
        "resource": [RS],
    }


@pytest.mark.parametrize(
    ("pinned", "challenge", "sent"),
    [
        (("mine",), challenged("asked"), ["mine"]),
        ((), challenged("asked"), None),
        (None, challenged("asked", "too"), ["asked too"]),
        (None, None, ["meta:a meta:b"]),
    ],
)
def test_pinned_scopes_win_over_the_challenge_and_that_over_the_metadata(
    pinned: tuple[str, ...] | None, challenge: ResourceChallenge | None, sent: list[str] | None
) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        obtain(world, target(scopes=pinned), challenge=challenge)
    assert form(world.requests[0]).get("scope") == sent


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"send_resource": False}, {}),
        ({"resource": "urn:my:resource"}, {"resource": ["urn:my:resource"]}),
        ({"audience": "api"}, {"resource": [RS], "audience": ["api"]}),
        ({"extra": (("tenant", "1"),)}, {"resource": [RS], "tenant": ["1"]}),
    ],
)
def test_a_deployment_can_say_what_it_wants_in_each_request(
    fields: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        obtain(world, target(scopes=(), **fields))
    assert form(world.requests[0]) == {"grant_type": ["client_credentials"], **expected}


def test_what_the_server_does_not_offer_is_refused_before_the_secret_is_read() -> None:
    with ScriptedWorld([]) as world, pytest.raises(ConfigurationError, match="private_key_jwt") as failure:
        obtain(world, discovery=discovered(token_endpoint_auth_methods_supported=("private_key_jwt",)))
    assert failure.value.code == "method_not_offered"
    assert world.revealed == []


def test_a_grant_that_is_not_listed_is_warned_of_and_asked_for_all_the_same() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        obtain(world, discovery=discovered(grant_types_supported=("authorization_code",)))
    assert [notice.code for notice in world.notices] == ["grant_not_listed"]


@pytest.mark.parametrize(
    "gone",
    [HttpResponse(status=404), UnreachableError("No such host.", code="unreachable", retryable=True)],
    ids=["another page", "no server"],
)
def test_a_token_endpoint_that_moved_is_found_again(gone: HttpResponse | UnreachableError) -> None:
    moved = {"issuer": AS, "token_endpoint": f"{AS}/v2/token"}
    with ScriptedWorld(
        [
            (TOKEN, gone),
            (
                "GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
                answer({"resource": RS, "authorization_servers": [AS]}),
            ),
            (f"GET {AS}/.well-known/oauth-authorization-server", answer(moved)),
            (f"POST {AS}/v2/token", ISSUED),
        ]
    ) as world:
        obtained = obtain(world)
    assert obtained.discovery.server.token_endpoint == f"{AS}/v2/token"
    assert [notice.code for notice in world.notices] == ["token_endpoint_moved"]


def test_a_token_endpoint_that_is_gone_and_did_not_move_is_an_error() -> None:
    with (
        ScriptedWorld(
            [
                (TOKEN, HttpResponse(status=404)),
                (
                    "GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
                    answer({"resource": RS, "authorization_servers": [AS]}),
                ),
                (
                    f"GET {AS}/.well-known/oauth-authorization-server",
                    answer({"issuer": AS, "token_endpoint": f"{AS}/token"}),
                ),
            ]
        ) as world,
        pytest.raises(RemoteError) as failure,
    ):
        obtain(world)
    assert failure.value.status == 404


@pytest.mark.parametrize(("ahead_s", "said"), [(-600, "600 s behind"), (600, "600 s ahead of"), (20, None)])
def test_a_refusal_that_the_clocks_explain_says_so(ahead_s: float, said: str | None) -> None:
    date = formatdate(1_700_000_000.0 + ahead_s, usegmt=True)
    refusal = answer({"error": "invalid_client"}, status=401, Date=date)
    with ScriptedWorld([(TOKEN, refusal)]) as world, pytest.raises(RemoteError) as failure:
        obtain(world)
    assert failure.value.error == "invalid_client"
    assert ("clock" in str(failure.value)) is (said is not None)
    assert said is None or said in str(failure.value)


def test_a_refusal_that_quotes_the_secret_does_not_pass_it_on() -> None:
    refusal = answer({"error": "invalid_client", "error_description": "the-secret is wrong"}, status=401)
    with ScriptedWorld([(TOKEN, refusal)]) as world, pytest.raises(RemoteError) as failure:
        obtain(world)
    assert "the-secret" not in str(failure.value)
    assert "the-secret" not in str(failure.value.error_description)


def test_a_profile_wants_a_client_authentication() -> None:
    with pytest.raises(ConfigurationError, match="ClientSecret"):
        ClientCredentials("ci")  # type: ignore[arg-type]


def test_the_identity_tells_clients_apart_and_holds_no_secret() -> None:
    other = ClientCredentials(ClientSecret("other", "the-secret"))
    assert PROFILE.identity != other.identity
    assert "the-secret" not in repr(PROFILE.identity) + repr(PROFILE)


def test_where_everything_is_gone_the_first_failure_is_told() -> None:
    down = UnreachableError("Nothing there.", code="unreachable", retryable=True)
    script = [(TOKEN, HttpResponse(status=404)), (lambda _: True, down)]
    with ScriptedWorld(script) as world, pytest.raises(RemoteError) as failure:
        obtain(world)
    assert failure.value.status == 404


def test_a_token_endpoint_that_was_discovered_a_moment_ago_has_not_moved() -> None:
    just_then = ScriptedWorld([(TOKEN, HttpResponse(status=404))], wall=1_699_999_901.0)
    with just_then as world, pytest.raises(RemoteError) as failure:
        obtain(world)
    assert failure.value.status == 404


def test_a_token_that_wants_proofs_is_refused_since_none_are_made() -> None:
    bound = answer({"access_token": "the-token", "token_type": "DPoP", "expires_in": 60})
    with (
        ScriptedWorld([(TOKEN, bound)]) as world,
        pytest.raises(RemoteError, match="token_type is not Bearer") as failure,
    ):
        obtain(world)
    assert (failure.value.code, failure.value.retryable) == ("token_response_invalid", False)
