"""Getting in because a person said yes: as which client, when somebody is asked, and when nobody may be."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from canary import assert_hidden
from errands import AS, BOUND, ISSUED, TOKEN, a_proof_key, discovered, errand, form, known, once, refusal, server
from scripted import CALLBACK, Reply, ScriptedWorld, comes_back, json_response

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.secret import Secret
from gatepass.core.world import Contact
from gatepass.errors import ConfigurationError, RemoteError, SignInRequiredError, UnreachableError
from gatepass.profiles.authorization_code import AuthorizationCode
from gatepass.profiles.obtain import obtain
from gatepass.protocol.registration import Registration

REGISTER = f"POST {AS}/register"
DOCUMENT = "https://app.example.com/client.json"
ASKS: dict[str, Any] = {"authorization_endpoint": f"{AS}/authorize", "code_challenge_methods_supported": ("S256",)}
REGISTERS: dict[str, Any] = ASKS | {"registration_endpoint": f"{AS}/register"}
REGISTERED = json_response({"client_id": "c-2"}, status=201)
OURS = AuthorizationCode("app")


def there(**members: Any) -> Any:
    return server(**(REGISTERS | members))


def the_registration(**fields: Any) -> Registration:
    usual: dict[str, Any] = {"issuer": AS, "client_id": "c-1", "client_secret": None, "method": "none"}
    return Registration(**(usual | {"redirect_uri": CALLBACK} | fields))


def world_with(script: list[Any], *registrations: Registration, reply: Reply = None) -> ScriptedWorld:
    world = ScriptedWorld(script, reply=reply or comes_back())
    for one in registrations:
        world.keep(one, AS, "client_name", "gatepass")
        world.keep(one, AS, "client_id", one.client_id)
    return world


def shown(world: ScriptedWorld) -> dict[str, str]:
    (url,) = world.shown
    return once(urlsplit(url).query)


# as which client


@pytest.mark.parametrize(
    ("profile", "supports", "kept", "client_id"),
    [
        (OURS, {"client_id_metadata_document_supported": True}, True, "app"),
        (
            AuthorizationCode(client_metadata_url=DOCUMENT),
            {"client_id_metadata_document_supported": True},
            True,
            DOCUMENT,
        ),
        (AuthorizationCode(client_metadata_url=DOCUMENT), {}, True, "c-1"),
        (AuthorizationCode(), {"client_id_metadata_document_supported": True}, True, "c-1"),
        (AuthorizationCode(), {"registration_endpoint": None}, True, "c-1"),
    ],
)
def test_a_client_that_is_known_does_not_register(
    profile: AuthorizationCode, supports: dict[str, Any], kept: bool, client_id: str
) -> None:
    with world_with([(TOKEN, ISSUED)], *([the_registration()] if kept else [])) as world:
        profile.grant(world, errand(server=there(**supports)))
    assert shown(world)["client_id"] == form(world.requests[0])["client_id"] == client_id


@pytest.mark.parametrize("key", [None, a_proof_key()], ids=["bearer", "bound"])
def test_a_client_that_is_not_registers_first_and_keeps_what_it_gets(key: Any) -> None:
    with world_with(
        [(REGISTER, REGISTERED), (TOKEN, BOUND if key else ISSUED), (TOKEN, BOUND if key else ISSUED)]
    ) as world:
        AuthorizationCode().grant(world, errand(server=there(), proof_key=key))
        AuthorizationCode().grant(world, errand(server=there(), proof_key=key))
    asked = json.loads(world.requests[0].body)
    assert (asked["client_name"], asked["redirect_uris"]) == ("gatepass", [CALLBACK])
    assert asked.get("dpop_bound_access_tokens", False) is (key is not None)
    assert {once(urlsplit(url).query)["client_id"] for url in world.shown} == {"c-2"}
    assert [contact.last_redirect_uri for contact in world.contacts] == [None, CALLBACK]


def test_a_registration_of_another_name_or_server_is_not_used() -> None:
    world = world_with([(REGISTER, REGISTERED), (TOKEN, ISSUED)])
    world.keep(the_registration(), AS, "client_name", "another program")
    world.keep(the_registration(issuer="https://other.example"), "https://other.example", "client_name", "gatepass")
    with world:
        AuthorizationCode().grant(world, errand(server=there()))
    assert shown(world)["client_id"] == "c-2"


def test_a_registration_whose_secret_has_ended_is_replaced() -> None:
    ended = the_registration(client_secret="s", method="client_secret_basic", expires_at=1.0)
    with world_with([(REGISTER, REGISTERED), (TOKEN, ISSUED)], ended) as world:
        AuthorizationCode().grant(world, errand(server=there()))
    assert shown(world)["client_id"] == "c-2"


def test_people_come_back_to_where_they_came_back_to_when_the_client_registered() -> None:
    last = "http://127.0.0.1:50999/callback"
    with world_with([(TOKEN, ISSUED)], the_registration(redirect_uri=last)) as world:
        AuthorizationCode().grant(world, errand(server=there()))
    assert world.contacts == [Contact(last_redirect_uri=last)]
    assert shown(world)["redirect_uri"] == last


ELSEWHERE = AuthorizationCode(redirect_uri="http://127.0.0.1:9/cb")


def test_a_client_that_people_come_back_to_elsewhere_registers_anew() -> None:
    with world_with([(REGISTER, REGISTERED), (TOKEN, ISSUED)], the_registration()) as world:
        ELSEWHERE.grant(world, errand(server=there()))
    assert shown(world)["client_id"] == "c-2"
    assert world.recall(Registration, AS, "client_name", "gatepass") == the_registration(
        client_id="c-2", redirect_uri="http://127.0.0.1:9/cb"
    )


def test_where_it_cannot_register_anew_it_goes_as_it_is_known() -> None:
    with world_with([(TOKEN, ISSUED)], the_registration()) as world:
        ELSEWHERE.grant(world, errand(server=there(registration_endpoint=None)))
    assert shown(world)["client_id"] == "c-1"


def test_a_client_with_a_metadata_document_never_registers_for_the_sake_of_an_old_registration() -> None:
    profile = AuthorizationCode(client_metadata_url=DOCUMENT, redirect_uri="http://127.0.0.1:9/cb")
    with world_with([(TOKEN, ISSUED)], the_registration()) as world:
        profile.grant(world, errand(server=there(client_id_metadata_document_supported=True)))
    assert shown(world)["client_id"] == DOCUMENT


# whom it asks, and when


def test_a_person_is_reached_the_way_that_the_user_said() -> None:
    def ask(url: str) -> str:
        raise AssertionError(url)

    profile = AuthorizationCode("app", ask=ask, redirect_uri="https://app.example.com/cb", timeout_s=60)
    with world_with([(TOKEN, ISSUED)]) as world:
        profile.grant(world, errand(server=there()))
    assert world.contacts == [Contact(ask=ask, redirect_uri="https://app.example.com/cb", timeout_s=60)]
    assert shown(world)["redirect_uri"] == "https://app.example.com/cb"
    assert profile.traits.patience_s == 70


UNABLE = [
    ("no authorization endpoint", {"authorization_endpoint": None}, RemoteError, "authorization_endpoint_missing"),
    ("no PKCE", {"code_challenge_methods_supported": None}, RemoteError, "pkce_missing"),
    ("no way to become known", {"registration_endpoint": None}, ConfigurationError, "client_unknown"),
]


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize(("members", "kind", "code"), [row[1:] for row in UNABLE], ids=[row[0] for row in UNABLE])
def test_a_server_that_does_not_fit_costs_neither_a_registration_nor_a_person(
    members: dict[str, Any], kind: type[Exception], code: str, *, awaited: bool
) -> None:
    with world_with([]) as world, pytest.raises(kind) as failure:
        AuthorizationCode().grant(world, errand(server=there(**members), awaited=awaited))
    assert failure.value.code == code  # type: ignore[attr-defined]
    assert (world.contacts, world.shown, world.records) == ([], [], {})


@pytest.mark.parametrize("profile", [OURS, AuthorizationCode(), AuthorizationCode(client_metadata_url=DOCUMENT)])
def test_while_nobody_waits_nobody_is_asked_and_nothing_is_registered(profile: AuthorizationCode) -> None:
    with world_with([]) as world, pytest.raises(SignInRequiredError) as failure:
        obtain(world, profile, known(discovery=discovered(**REGISTERS), awaited=False))
    assert (failure.value.code, failure.value.url, failure.value.retryable) == ("sign_in_required", None, False)
    assert (world.contacts, world.shown, world.records) == ([], [], {})


def test_where_nobody_can_be_asked_the_error_says_where_to_sign_in() -> None:
    nobody = SignInRequiredError("Nobody is here.", code="sign_in_required").with_(url="https://as.example.com/x")
    with world_with([], reply=nobody) as world, pytest.raises(SignInRequiredError) as failure:
        OURS.grant(world, errand(server=there()))
    assert failure.value.url == "https://as.example.com/x"


@pytest.mark.parametrize(
    ("listed", "wanted", "scopes", "sent"),
    [
        (("a", "offline_access"), True, ("a",), "a offline_access"),
        (("a", "offline_access"), True, (), None),  # the server chooses, and goes on choosing
        (("a", "offline_access"), True, ("offline_access", "a"), "offline_access a"),
        (("a", "offline_access"), False, ("a",), "a"),
        (("a",), True, ("a",), "a"),
        ((), True, (), None),
        (None, True, ("a",), "a"),
    ],
)
def test_a_refresh_token_is_asked_for_only_where_the_server_lists_that(
    listed: tuple[str, ...] | None, wanted: bool, scopes: tuple[str, ...], sent: str | None
) -> None:
    with world_with([(TOKEN, ISSUED)]) as world:
        profile = AuthorizationCode("app", offline_access=wanted)
        profile.grant(world, errand(server=there(scopes_supported=listed), scopes=scopes))
    assert shown(world).get("scope") == sent


def test_what_is_asked_for_so_that_it_can_be_renewed_is_no_part_of_what_was_requested() -> None:
    with world_with([(TOKEN, ISSUED)]) as world:
        where = known(discovery=discovered(**ASKS, scopes_supported=("offline_access",)))
        assert obtain(world, OURS, where).requested == ("meta:a", "meta:b")
    assert shown(world)["scope"] == "meta:a meta:b offline_access"


# refusals


@pytest.mark.parametrize(
    ("answer", "forgotten"),
    [
        (refusal("invalid_client", status=401), True),
        (refusal("invalid_grant"), False),
        (refusal(None, status=503), False),
    ],
)
def test_a_registration_that_the_server_does_not_know_is_dropped(answer: Any, *, forgotten: bool) -> None:
    with world_with([(TOKEN, answer)], the_registration()) as world, pytest.raises(RemoteError):
        AuthorizationCode().grant(world, errand(server=there()))
    assert (world.records == {}) is forgotten


def test_so_is_one_with_which_nobody_came_back_who_may_have_been_shown_that_it_is_unknown() -> None:
    nobody = UnreachableError("Nobody signed in.", code="sign_in_timeout")
    with world_with([], the_registration(), reply=nobody) as world, pytest.raises(UnreachableError):
        AuthorizationCode().grant(world, errand(server=there()))
    assert world.recall(Registration, AS, "client_name", "gatepass") is None
    client = AuthorizationCode().client_of(world, there(), "c-1")
    assert client == PublicClient("c-1"), "those who have a token of it go on"


def test_a_client_that_the_user_gave_is_not_forgotten() -> None:
    with world_with([(TOKEN, refusal("invalid_client"))], the_registration()) as world, pytest.raises(RemoteError):
        OURS.grant(world, errand(server=there()))
    assert world.records
    assert OURS.disowned(world, there(), "c-1") is False
    assert AuthorizationCode().disowned(world, there(), "c-1") is True
    assert world.records == {}


@pytest.mark.parametrize("answer", [refusal("invalid_grant", description="canary"), refusal("invalid_client")])
def test_no_error_shows_a_secret(answer: Any) -> None:
    mine = the_registration(client_secret="canary-secret", method="client_secret_post")
    with world_with([(TOKEN, answer)], mine, reply=comes_back(code="canary")) as world:
        with pytest.raises(RemoteError) as failure:
            obtain(world, AuthorizationCode(), known(discovery=discovered(**REGISTERS)))
        verifier = form(world.requests[0])["code_verifier"]
    assert_hidden(failure.value, "canary", verifier)


# arguments


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"client": 5}, "client_invalid"),
        ({"client": b"canary"}, "client_invalid"),
        ({"client": PublicClient}, "client_invalid"),
        ({"client": ""}, "client_id_invalid"),
        ({"client_name": ""}, "client_name_invalid"),
        ({"client_name": "a\nb"}, "client_name_invalid"),
        ({"client_name": None}, "client_name_invalid"),
        ({"ask": "me"}, "ask_invalid"),
        ({"subject": ""}, "subject_invalid"),
        *(({"timeout_s": it}, "timeout_invalid") for it in (0, -1, float("nan"), float("inf"), 3601, True, "5", None)),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        AuthorizationCode(**({"client": ClientSecret("app", "canary")} | arguments))
    assert failure.value.code == code
    assert code.removesuffix("_invalid").replace("client_id", "client") in str(failure.value)
    assert_hidden(failure.value, "canary")


def asks(_: str) -> str:
    raise AssertionError("nobody was to be asked")


REDIRECTS = [
    # the URI, whether it will do without `ask`, and with
    ("http://127.0.0.1:5000/cb", True, True),
    ("http://127.0.0.1/cb", True, True),
    ("http://localhost:5000", True, True),
    ("http://[::1]:5000/cb", True, True),
    ("https://app.example.com/cb", False, True),
    ("https://127.0.0.1:5000/cb", False, True),
    ("http://app.example.com/cb", False, False),
    ("http://127.0.0.1.example.com/cb", False, False),
    ("http://127.0.0.1:5000/cb#part", False, False),
    ("https://app.example.com/cb#", False, False),
    ("https://me@app.example.com/cb", False, False),
    ("com.example.app:/cb", False, False),
    ("/cb", False, False),
    ("", False, False),
    (5, False, False),
]


@pytest.mark.parametrize(("uri", "alone", "with_ask"), REDIRECTS)
def test_people_are_sent_back_to_loopback_or_by_https_to_who_hands_the_answer_over(
    uri: Any, *, alone: bool, with_ask: bool
) -> None:
    for ask, fits in ((None, alone), (asks, with_ask)):
        if fits:
            assert AuthorizationCode(redirect_uri=uri, ask=ask).contact.redirect_uri == uri
        else:
            with pytest.raises(ConfigurationError, match="redirect_uri") as failure:
                AuthorizationCode(redirect_uri=uri, ask=ask)
            assert failure.value.code == "redirect_uri_invalid"


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        (DOCUMENT, True),
        ("https://app.example.com:8443/a/b?c=d", True),
        ("https://app.example.com", False),
        ("https://app.example.com/", False),
        ("https://APP.example.com/", False),
        ("https://app.example.com:443/", False),
        ("https://app.example.com?a/b", False),
        ("https://app.example.com/?a/b", False),
        ("https://app.example.com/client.json#part", False),
        ("https://app.example.com/a/../client.json", False),
        ("https://app.example.com/%2e%2e/client.json", False),
        ("https://me:secret@app.example.com/client.json", False),
        ("http://app.example.com/client.json", False),
        ("http://127.0.0.1/client.json", False),
        ("app", False),
        (5, False),
    ],
)
def test_a_client_id_that_is_a_url_has_a_path_and_no_tricks(url: Any, *, fits: bool) -> None:
    if fits:
        assert AuthorizationCode(client_metadata_url=url).applicant.metadata_url == url
    else:
        with pytest.raises(ConfigurationError, match="client_metadata_url") as failure:
            AuthorizationCode(client_metadata_url=url)
        assert failure.value.code == "client_metadata_url_invalid"


def test_the_identity_tells_people_and_clients_apart_and_holds_no_secret() -> None:
    each = [
        AuthorizationCode(),
        AuthorizationCode(subject="alice"),
        AuthorizationCode(subject="bob"),
        AuthorizationCode(client_name="other"),
        AuthorizationCode(client_metadata_url=DOCUMENT),
        AuthorizationCode("app"),
        AuthorizationCode(ClientSecret("app", "canary")),
    ]
    assert len({one.identity for one in each}) == len(each)
    assert "canary" not in repr([(one, one.identity) for one in each])


def test_it_says_what_its_tokens_depend_on() -> None:
    client = ClientSecret("app", Secret.file("/secret"))
    assert AuthorizationCode(client).secrets == client.secrets
    assert AuthorizationCode().secrets == ()


def test_it_acts_for_a_person_who_must_be_named_and_takes_a_person_s_time() -> None:
    assert (AuthorizationCode().traits.subject_missing, AuthorizationCode(subject="alice").traits.subject_missing) == (
        True,
        False,
    )
    assert (AuthorizationCode().traits.attended, AuthorizationCode().traits.patience_s) == (True, 310.0)
    assert (AuthorizationCode().traits.portable, OURS.traits.portable) == (True, False)
    assert OURS.traits.extension is None
    assert OURS.client_of(ScriptedWorld(), there(), "any") == PublicClient("app")
    assert AuthorizationCode().client_of(ScriptedWorld(), there(), "c-1") is None
