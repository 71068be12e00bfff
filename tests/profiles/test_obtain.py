"""How a token is obtained whatever the way in: which scopes, by which grant, and from where if it moved."""

from __future__ import annotations

from typing import Any

import pytest
from canary import assert_hidden
from errands import (
    AS,
    DEPLOYMENTS,
    ISSUED,
    RS,
    TOKEN,
    a_proof_key,
    challenged,
    discovered,
    form,
    known,
    refusal,
    target,
)
from scripted import ScriptedWorld, json_response

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.core.http import HttpResponse
from gatepass.core.secret import Secret
from gatepass.errors import GatepassError, RemoteError, UnreachableError
from gatepass.grants.errand import Errand
from gatepass.profiles.authorization_code import AuthorizationCode
from gatepass.profiles.base import Known, Obtained
from gatepass.profiles.client_credentials import ClientCredentials
from gatepass.profiles.obtain import obtain, renew, scopes_wanted
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.registration import Registration

PROFILE = ClientCredentials(ClientSecret("ci", "the-secret"))
REGISTERED = AuthorizationCode()
THEIRS = Registration(issuer=AS, client_id="c-1", client_secret=None, method="none", redirect_uri="http://localhost/cb")
RESOURCE_METADATA = (
    "GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
    json_response({"resource": RS, "authorization_servers": [AS]}),
)


def server_metadata(**members: str) -> tuple[str, HttpResponse]:
    document = {"issuer": AS, "token_endpoint": f"{AS}/token"} | members
    return f"GET {AS}/.well-known/oauth-authorization-server", json_response(document)


def refresh(world: ScriptedWorld, profile: Any = PROFILE, **fields: Any) -> Obtained | None:
    return renew(world, profile, known(**fields), Secret("canary-refresh"), "c-1")


# which scopes


@pytest.mark.parametrize(
    ("pinned", "challenge", "stepped", "sent"),
    [
        (("mine",), challenged("asked"), (), "mine"),
        ((), challenged("asked"), (), None),
        (None, challenged("asked", "too"), (), "asked too"),
        (None, challenged(), (), "meta:a meta:b"),
        (None, None, (), "meta:a meta:b"),
        (("mine",), challenged("asked"), ("more", "mine"), "mine more"),
        ((), None, ("more",), "more"),
    ],
)
def test_pinned_scopes_win_over_the_challenge_and_that_over_the_metadata_and_steps_are_added(
    pinned: tuple[str, ...] | None, challenge: ResourceChallenge | None, stepped: tuple[str, ...], sent: str | None
) -> None:
    what = known(target=target(scopes=pinned), challenge=challenge, stepped=stepped)
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        obtained = obtain(world, PROFILE, what)
    assert form(world.requests[0]).get("scope") == sent
    assert obtained.requested == scopes_wanted(what) == tuple((sent or "").split())


def test_a_known_way_takes_one_request() -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        obtained = obtain(world, PROFILE, known())
    assert obtained.issued.token.access_token.reveal() == "the-token"
    assert obtained.issued.sent == world.now()
    assert obtained.discovery == discovered()


class Remembers:
    """A profile that only looks at what it is sent on."""

    def grant(self, world: Any, errand: Errand) -> Any:
        self.errand = errand


@pytest.mark.parametrize("awaited", [True, False])
def test_a_profile_is_told_all_that_is_known(*, awaited: bool) -> None:
    profile: Any = Remembers()
    what = known(proof_key=a_proof_key(), awaited=awaited)
    obtain(ScriptedWorld(), profile, what)
    assert profile.errand == Errand(
        target=what.target,
        server=what.discovery.server,
        resource=RS,
        scopes=("meta:a", "meta:b"),
        proof_key=what.proof_key,
        awaited=awaited,
    )


# by the refresh token of the last one


@pytest.mark.parametrize(("fields", "besides"), DEPLOYMENTS)
def test_a_renewal_is_one_request_for_the_same_thing(fields: dict[str, Any], besides: dict[str, str]) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        renewed = refresh(world, target=target(scopes=("a",), **fields))
    assert form(world.requests[0]) == {
        "grant_type": "refresh_token",
        "refresh_token": "canary-refresh",
        **besides,
    }
    assert renewed is not None
    assert renewed.requested == ("a",)


NO_MORE = ["invalid_grant", "invalid_scope", "invalid_target", "unauthorized_client", "unsupported_grant_type", "other"]


@pytest.mark.parametrize("error", NO_MORE)
def test_a_refresh_token_that_is_refused_is_told_of_and_not_used_again(error: str) -> None:
    answer = refusal(error, description="canary-refresh is spent")
    with ScriptedWorld([(TOKEN, answer)]) as world:
        assert refresh(world) is None
    (notice,) = world.notices
    assert (notice.code, notice.level) == ("refresh_refused", "warning")
    assert error in notice.text
    assert "canary" not in notice.text


def test_so_is_one_that_is_refused_without_a_word() -> None:
    with ScriptedWorld([(TOKEN, HttpResponse(status=400))]) as world:
        assert refresh(world) is None


MUST_RAISE: list[tuple[str, Any]] = [
    ("the client is refused, not its token", refusal("invalid_client", status=401)),
    ("the proof is refused, not the token", refusal("invalid_dpop_proof")),
    ("the proof lacks a nonce", refusal("use_dpop_nonce")),
    ("nobody says why", HttpResponse(status=403)),
    ("the server is in trouble", HttpResponse(status=503)),
    ("the server is in trouble and says so", refusal("temporarily_unavailable")),
    ("a success that makes no sense", json_response({"access_token": "canary-refresh"})),
    ("no answer", UnreachableError("No answer.", code="timeout", retryable=True)),
]


@pytest.mark.parametrize("answer", [row[1] for row in MUST_RAISE], ids=[row[0] for row in MUST_RAISE])
def test_what_says_nothing_about_the_refresh_token_does_not_cost_it(answer: Any) -> None:
    with ScriptedWorld([(TOKEN, answer)]) as world, pytest.raises(GatepassError) as failure:
        refresh(world)
    assert world.notices == []
    assert_hidden(failure.value, "canary", "the-secret")


def test_a_registration_that_the_server_does_not_know_any_more_is_dropped_with_its_refresh_token() -> None:
    with ScriptedWorld([(TOKEN, refusal("invalid_client", status=401))]) as world:
        world.keep(THEIRS, AS, "client_id", "c-1")
        assert refresh(world, REGISTERED) is None
    assert form(world.requests[0])["client_id"] == "c-1"
    assert world.records == {}
    assert [notice.code for notice in world.notices] == ["refresh_refused"]


def test_a_client_that_is_not_known_there_has_no_refresh_token_to_send() -> None:
    with ScriptedWorld([]) as world:
        assert refresh(world, REGISTERED, discovery=discovered(registration_endpoint=f"{AS}/register")) is None


# from where it went

GONE = [HttpResponse(status=404), UnreachableError("No such host.", code="unreachable", retryable=True)]
GONE_IDS = ["another page", "no server"]


def by_grant(world: ScriptedWorld, what: Known) -> Obtained | None:
    return obtain(world, PROFILE, what)


def by_refresh_token(world: ScriptedWorld, what: Known) -> Obtained | None:
    return renew(world, PROFILE, what, Secret("canary-refresh"), "c-1")


@pytest.mark.parametrize("ask", [by_grant, by_refresh_token])
@pytest.mark.parametrize("gone", [*GONE, HttpResponse(status=307)], ids=[*GONE_IDS, "a redirect"])
def test_a_token_endpoint_that_moved_is_found_again(ask: Any, gone: Any) -> None:
    moved = server_metadata(token_endpoint=f"{AS}/v2/token")
    script = [(TOKEN, gone), RESOURCE_METADATA, moved, (f"POST {AS}/v2/token", ISSUED)]
    with ScriptedWorld(script) as world:
        obtained = ask(world, known())
    assert obtained.discovery.server.token_endpoint == f"{AS}/v2/token"
    assert [notice.code for notice in world.notices] == ["token_endpoint_moved"]
    assert world.requests[0].body == world.requests[-1].body


def test_a_token_endpoint_that_is_gone_and_did_not_move_is_an_error() -> None:
    script = [(TOKEN, GONE[0]), RESOURCE_METADATA, server_metadata()]
    with ScriptedWorld(script) as world, pytest.raises(RemoteError) as failure:
        obtain(world, PROFILE, known())
    assert failure.value.status == 404


def test_nothing_is_sent_to_another_issuer_that_the_resource_names_by_now() -> None:
    other = "https://other.example"
    script = [
        (TOKEN, GONE[0]),
        (RESOURCE_METADATA[0], json_response({"resource": RS, "authorization_servers": [other]})),
        (
            f"GET {other}/.well-known/oauth-authorization-server",
            json_response({"issuer": other, "token_endpoint": f"{other}/token"}),
        ),
    ]
    with ScriptedWorld(script) as world, pytest.raises(RemoteError) as failure:
        obtain(world, PROFILE, known(target=target(issuer=None)))
    assert failure.value.status == 404


def test_where_everything_is_gone_the_first_failure_is_told() -> None:
    down = UnreachableError("Nothing there.", code="unreachable", retryable=True)
    script = [(TOKEN, HttpResponse(status=404)), (lambda _: True, down)]
    with ScriptedWorld(script) as world, pytest.raises(RemoteError) as failure:
        obtain(world, PROFILE, known())
    assert failure.value.status == 404
    assert_hidden(failure.value, "the-secret")


def test_a_token_endpoint_that_was_discovered_a_moment_ago_has_not_moved() -> None:
    just_then = ScriptedWorld([(TOKEN, HttpResponse(status=404))], wall=1_699_999_901.0)
    with just_then as world, pytest.raises(RemoteError) as failure:
        obtain(world, PROFILE, known())
    assert failure.value.status == 404


@pytest.mark.parametrize(
    "answer", [refusal("invalid_client", status=404), HttpResponse(status=400), HttpResponse(status=503)]
)
def test_a_server_that_answers_is_where_it_was(answer: HttpResponse) -> None:
    with ScriptedWorld([(TOKEN, answer)]) as world, pytest.raises(RemoteError):
        obtain(world, PROFILE, known())
