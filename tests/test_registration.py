"""How a client becomes known: in MCP's order, kept under its issuer, and shown to no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from canary import assert_hidden
from errands import AS, server
from scripted import CALLBACK, ScriptedWorld, json_response

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.public_client import PublicClient
from gatepass.errors import ConfigurationError, RemoteError, UnreachableError
from gatepass.protocol.registration import Registration
from gatepass.registration import (
    Applicant,
    disown,
    enrolled,
    enrolled_as,
    register,
    registered_redirect_uri,
    start_over,
)

REGISTER = f"POST {AS}/register"
DOCUMENT = "https://app.example.com/client.json"
NAMELESS = Applicant(name="gatepass")
BOUND = Applicant(name="gatepass", dpop=True)
PUBLISHED = Applicant(name="gatepass", metadata_url=DOCUMENT)
REGISTRABLE: dict[str, Any] = {"registration_endpoint": f"{AS}/register"}
DOCUMENTED: dict[str, Any] = {"client_id_metadata_document_supported": True}
BASIC, POST = "client_secret_basic", "client_secret_post"


def registered(issuer: str = AS, **fields: Any) -> Registration:
    return Registration(
        **({"client_id": "c-1", "client_secret": None, "method": "none", "redirect_uri": CALLBACK} | fields),
        issuer=issuer,
    )


def knowing(*registrations: Registration, wall: float = 1000.0) -> ScriptedWorld:
    world = ScriptedWorld(wall=wall)
    for one in registrations:
        world.keep(one, one.issuer, "client_name", "gatepass")
        world.keep(one, one.issuer, "client_id", one.client_id)
    return world


def enrol(answer: dict[str, Any], *, redirect_uri: str = CALLBACK, dpop: bool = False, **members: Any) -> Any:
    with ScriptedWorld([(REGISTER, json_response({"client_id": "c-1"} | answer, status=201))]) as world:
        client = register(world, BOUND if dpop else NAMELESS, server(**REGISTRABLE, **members), redirect_uri)
    return client, world


# in which order


ORDER = [
    # who asks, what the server supports, whether a registration is kept, as whom it goes
    (PUBLISHED, DOCUMENTED | REGISTRABLE, True, DOCUMENT),
    (PUBLISHED, DOCUMENTED, False, DOCUMENT),
    (PUBLISHED, REGISTRABLE, True, "c-1"),
    (PUBLISHED, REGISTRABLE, False, None),
    (PUBLISHED, {"client_id_metadata_document_supported": False} | REGISTRABLE, False, None),
    (NAMELESS, DOCUMENTED | REGISTRABLE, True, "c-1"),
    (NAMELESS, DOCUMENTED | REGISTRABLE, False, None),
    (NAMELESS, REGISTRABLE, False, None),
    (NAMELESS, {}, True, "c-1"),
]


@pytest.mark.parametrize(("applicant", "supports", "kept", "client_id"), ORDER)
def test_a_metadata_document_comes_first_then_what_is_registered_then_registering(
    applicant: Applicant, supports: dict[str, Any], kept: bool, client_id: str | None
) -> None:
    world = knowing(registered()) if kept else knowing()
    client = enrolled(world, applicant, server(**supports))
    assert (client and client.client_id) == client_id
    assert client is None or isinstance(client, PublicClient)


@pytest.mark.parametrize(
    ("applicant", "supports", "advice"),
    [(NAMELESS, {}, "client=..."), (PUBLISHED, {}, "client=..."), (NAMELESS, DOCUMENTED, "client_metadata_url")],
)
def test_where_there_is_no_way_the_error_says_what_to_give(
    applicant: Applicant, supports: dict[str, Any], advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=advice) as failure:
        enrolled(knowing(), applicant, server(**supports))
    assert failure.value.code == "client_unknown"


# registering


@pytest.mark.parametrize(
    ("redirect_uri", "kind"),
    [
        (CALLBACK, "native"),
        ("http://[::1]:5000/cb", "native"),
        ("com.example.app:/cb", "native"),
        ("https://app.example.com/cb", "web"),
    ],
)
@pytest.mark.parametrize("dpop", [False, True])
def test_a_client_says_what_it_is(redirect_uri: str, kind: str, *, dpop: bool) -> None:
    _, world = enrol({}, redirect_uri=redirect_uri, dpop=dpop)
    assert json.loads(world.requests[0].body) == {
        "client_name": "gatepass",
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
        "application_type": kind,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        **({"dpop_bound_access_tokens": True} if dpop else {}),
    }


@pytest.mark.parametrize(
    ("offered", "asked"),
    [
        (None, "none"),
        ((), "none"),
        ((BASIC, POST, "none"), "none"),
        ((POST, BASIC), BASIC),
        ((POST, "private_key_jwt"), POST),
        (("private_key_jwt",), "none"),
    ],
)
def test_it_asks_for_the_way_to_authenticate_that_it_likes_best(offered: tuple[str, ...] | None, asked: str) -> None:
    _, world = enrol({}, token_endpoint_auth_methods_supported=offered)
    assert json.loads(world.requests[0].body)["token_endpoint_auth_method"] == asked


@pytest.mark.parametrize(
    ("answer", "client"),
    [
        ({}, PublicClient("c-1")),
        ({"token_endpoint_auth_method": "none", "client_secret": "s"}, PublicClient("c-1")),
        ({"token_endpoint_auth_method": BASIC}, PublicClient("c-1")),
        ({"token_endpoint_auth_method": "private_key_jwt", "client_secret": "s"}, PublicClient("c-1")),
        ({"token_endpoint_auth_method": BASIC, "client_secret": "s"}, BASIC),
        ({"token_endpoint_auth_method": POST, "client_secret": "s"}, POST),
    ],
)
def test_it_authenticates_as_the_server_decided(answer: dict[str, Any], client: Any) -> None:
    made, _ = enrol(answer)
    if isinstance(client, PublicClient):
        assert made == client
    else:
        assert isinstance(made, ClientSecret)
        assert (made.client_id, made.secret.reveal(), made.method) == ("c-1", "s", client)


def test_what_it_is_told_is_kept_under_the_issuer_and_told_without_its_secret() -> None:
    _, world = enrol({"client_secret": "canary", "token_endpoint_auth_method": POST})
    kept = registered(client_secret="canary", method=POST)
    assert world.records == {
        (Registration, AS, "client_name", "gatepass"): kept,
        (Registration, AS, "client_id", "c-1"): kept,
    }
    (notice,) = world.notices
    assert (notice.code, notice.level) == ("client_registered", "info")
    assert "c-1" in notice.text
    assert "canary" not in notice.text
    again = enrolled(world, NAMELESS, server(**REGISTRABLE))
    assert isinstance(again, ClientSecret)
    assert (again.client_id, again.secret.reveal()) == ("c-1", "canary")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (json_response({"error": "invalid_redirect_uri", "x": "canary"}, status=400), RemoteError),
        (json_response({"client_secret": "canary"}), RemoteError),
        (json_response({"client_id": "c\n1", "client_secret": "canary"}), RemoteError),
        (UnreachableError("No answer.", code="timeout", retryable=True), UnreachableError),
    ],
)
def test_what_came_to_nothing_is_not_kept(answer: Any, kind: type[Exception]) -> None:
    with ScriptedWorld([(REGISTER, answer)]) as world, pytest.raises(kind) as failure:
        register(world, NAMELESS, server(**REGISTRABLE), CALLBACK)
    assert world.records == {}
    assert_hidden(failure.value, "canary")


# what is kept


@pytest.mark.parametrize(
    ("expires_at", "wall", "known"),
    [(None, 1e12, True), (1000.0, 999.9, True), (1000.0, 1000.0, False), (1000.0, 1000.1, False)],
)
def test_a_registration_whose_secret_has_ended_is_none(expires_at: float | None, wall: float, *, known: bool) -> None:
    world = knowing(registered(client_secret="s", method=BASIC, expires_at=expires_at), wall=wall)
    assert (enrolled(world, NAMELESS, server(**REGISTRABLE)) is not None) is known
    assert (registered_redirect_uri(world, NAMELESS, server(**REGISTRABLE)) is not None) is known


OTHERS = "https://other.example"


def test_a_registration_at_one_server_is_never_shown_to_another() -> None:
    world = knowing(registered(OTHERS, client_id="theirs", client_secret="canary", method=BASIC))
    assert enrolled(world, NAMELESS, server(**REGISTRABLE)) is None
    world.keep(registered(OTHERS, client_id="theirs"), AS, "client_name", "gatepass")  # in the wrong place
    assert enrolled(world, NAMELESS, server(**REGISTRABLE)) is None
    assert registered_redirect_uri(world, NAMELESS, server(**REGISTRABLE)) is None


def test_programs_of_other_names_are_other_clients() -> None:
    assert enrolled(knowing(registered()), Applicant(name="other"), server(**REGISTRABLE)) is None


def test_who_binds_its_tokens_is_another_client_than_who_does_not() -> None:
    assert enrolled(knowing(registered()), BOUND, server(**REGISTRABLE)) is None
    made, world = enrol({}, dpop=True)
    assert enrolled(world, BOUND, server(**REGISTRABLE)) == made
    assert enrolled(world, NAMELESS, server(**REGISTRABLE)) is None


def test_who_starts_over_registers_anew_and_only_there_and_is_known_by_its_id_still() -> None:
    world = knowing(registered(), registered(OTHERS))
    start_over(world, NAMELESS, server())
    assert enrolled(world, NAMELESS, server(**REGISTRABLE)) is None
    assert enrolled(world, NAMELESS, server(issuer=OTHERS)) is not None
    assert enrolled_as(world, NAMELESS, server(), "c-1") == PublicClient("c-1")
    start_over(world, NAMELESS, server())


def test_a_client_is_found_by_the_id_that_it_was_given_there_and_by_no_other() -> None:
    world = knowing(registered(client_secret="s", method=BASIC), registered(client_id="c-2"))
    first = enrolled_as(world, NAMELESS, server(), "c-1")
    assert isinstance(first, ClientSecret)
    assert (first.client_id, first.secret.reveal()) == ("c-1", "s")
    assert enrolled_as(world, NAMELESS, server(), "c-2") == PublicClient("c-2")
    assert enrolled_as(world, NAMELESS, server(issuer=OTHERS), "c-1") is None
    assert enrolled_as(world, PUBLISHED, server(), DOCUMENT) == PublicClient(DOCUMENT)
    assert enrolled_as(world, NAMELESS, server(), DOCUMENT) is None
    assert enrolled_as(world, NAMELESS, server(), None) is None


def test_only_the_client_that_the_server_does_not_know_is_dropped() -> None:
    world = knowing(registered(client_id="c-1"), registered(client_id="c-2"))
    disown(world, NAMELESS, server(), "c-1")
    assert enrolled_as(world, NAMELESS, server(), "c-1") is None
    assert enrolled(world, NAMELESS, server(**REGISTRABLE)) == PublicClient("c-2")
    disown(world, NAMELESS, server(), None)
    disown(world, NAMELESS, server(issuer=OTHERS), "c-2")
    assert enrolled(world, NAMELESS, server(**REGISTRABLE)) == PublicClient("c-2")
    disown(world, BOUND, server(), "c-2")
    assert world.records == {}


@pytest.mark.parametrize(
    ("applicant", "supports", "uri"),
    [
        (NAMELESS, REGISTRABLE, CALLBACK),
        (NAMELESS, REGISTRABLE | DOCUMENTED, CALLBACK),
        (PUBLISHED, REGISTRABLE, CALLBACK),
        (PUBLISHED, REGISTRABLE | DOCUMENTED, None),
    ],
)
def test_where_people_came_back_to_is_known_of_who_registered(
    applicant: Applicant, supports: dict[str, Any], uri: str | None
) -> None:
    assert registered_redirect_uri(knowing(registered()), applicant, server(**supports)) == uri
    assert registered_redirect_uri(knowing(), applicant, server(**supports)) is None
