"""gatepass for somebody who signs in at a certified authorization server, once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from interop import raw
from interop.person import Person
from interop.place import SECRET, Key, Place
from interop.processes import keeper, kept
from interop.visit import visit, warm_welcome
from interop.wiretap import Wiretap

import gatepass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BACK = "https://site.example/back"


def client_of_a_site(keys: Mapping[str, Key], client_id: str) -> gatepass.ClientSecret | gatepass.PrivateKeyJwt:
    if client_id == "site":
        return gatepass.ClientSecret(client_id, SECRET)
    return gatepass.PrivateKeyJwt(client_id, key=keys["ES256"].as_pem(private=True).decode())


@pytest.mark.parametrize("way_back", ["answers", "comes_back"])
def test_somebody_signs_in_once_and_the_program_calls_a_tool(home: Place, alice: Person, way_back: str) -> None:
    way_in = gatepass.AuthorizationCode("app", ask=getattr(alice, way_back))
    auth = gatepass.Auth(home.url, way_in, issuer=home.issuer)

    assert visit(auth) == warm_welcome("app")
    assert len(alice.asked) == 1


@pytest.mark.parametrize("client_id", ["site", "site with a key"])
def test_a_client_with_a_secret_or_a_key_proves_itself_with_the_code(
    home: Place, alice: Person, keys: Mapping[str, Key], client_id: str
) -> None:
    client = client_of_a_site(keys, client_id)
    way_in = gatepass.AuthorizationCode(client, ask=alice.answers, redirect_uri=BACK)

    assert visit(gatepass.Auth(home.url, way_in, issuer=home.issuer)) == warm_welcome(client_id)


def test_a_client_that_nobody_registered_registers_once_for_everybody(home: Place, wiretap: Wiretap) -> None:
    store, http = gatepass.MemoryStore(), gatepass.TokenHttp(transport=wiretap)
    seen = []
    for name in ("alice", "bob"):
        way_in = gatepass.AuthorizationCode(ask=Person(name).answers, subject=name)
        seen.append(visit(gatepass.Auth(home.url, way_in, issuer=home.issuer, store=store, http=http)))

    [registered] = wiretap.to("/reg")
    assert seen == [warm_welcome(registered.answer["client_id"])] * 2
    assert (registered.answer["application_type"], registered.answer["client_name"]) == ("native", "gatepass")


def test_both_requests_say_what_the_token_is_for(home: Place, alice: Person, wiretap: Wiretap) -> None:
    way_in = gatepass.AuthorizationCode("app", ask=alice.answers)
    gatepass.Auth(home.url, way_in, issuer=home.issuer, http=gatepass.TokenHttp(transport=wiretap)).token()

    [asked], [exchange] = alice.asked, wiretap.to("/token")
    assert parse_qs(urlsplit(asked).query)["resource"] == [home.url]
    assert exchange.form["resource"] == home.url


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("iss", "https://somebody.else.example", "iss_mismatch"),
        ("iss", None, "iss_mismatch"),
        ("state", "of another request", "state_mismatch"),
    ],
)
def test_an_answer_that_is_not_from_there_or_not_to_us_is_not_used(
    home: Place, alice: Person, wiretap: Wiretap, field: str, value: str | None, code: str
) -> None:
    def forged(url: str) -> str:
        answer = httpx2.URL(alice.answers(url))
        return str(answer.copy_remove_param(field) if value is None else answer.copy_set_param(field, value))

    way_in = gatepass.AuthorizationCode("app", ask=forged)
    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(home.url, way_in, issuer=home.issuer, http=gatepass.TokenHttp(transport=wiretap)).token()

    assert refused.value.code == code
    assert wiretap.posts == []


def test_somebody_who_says_no_is_understood(home: Place, alice: Person) -> None:
    way_in = gatepass.AuthorizationCode("app", ask=alice.refuses)

    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(home.url, way_in, issuer=home.issuer).token()

    assert (refused.value.code, refused.value.error) == ("authorization_refused", "access_denied")


def test_a_resource_that_the_issuer_does_not_know_is_refused_as_invalid_target(home: Place, alice: Person) -> None:
    way_in = gatepass.AuthorizationCode("app", ask=alice.answers)

    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(home.url, way_in, issuer=home.issuer, resource_indicator="http://127.0.0.1/nobody").token()

    assert (refused.value.code, refused.value.error) == ("authorization_refused", "invalid_target")


@pytest.mark.parametrize(
    ("offline_access", "grants"),
    [(True, ["authorization_code", "refresh_token"]), (False, ["authorization_code", "authorization_code"])],
)
def test_a_refresh_token_is_issued_where_it_is_asked_for(
    home: Place, alice: Person, wiretap: Wiretap, offline_access: bool, grants: list[str]
) -> None:
    way_in = gatepass.AuthorizationCode("app", ask=alice.answers, offline_access=offline_access)
    auth = gatepass.Auth(home.url, way_in, issuer=home.issuer, http=gatepass.TokenHttp(transport=wiretap))

    assert auth.rejected(auth.token())
    auth.token()

    assert wiretap.grants == grants
    assert len(alice.asked) == grants.count("authorization_code")
    assert bool(wiretap.refresh_tokens) == offline_access


def test_a_process_without_a_browser_says_where_somebody_could_sign_in(
    home: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(gatepass.SignInRequiredError) as refused:
        gatepass.Auth(home.url, gatepass.AuthorizationCode("app"), issuer=home.issuer).token()

    assert refused.value.url
    assert refused.value.url.startswith(f"{home.issuer}/auth?")


def test_without_a_callback_the_systems_browser_is_opened(home: Place, tmp_path: Path) -> None:
    [token] = kept(keeper(home, tmp_path / "tokens", client="app", generations=1, browser=True))

    assert raw.knock(home, token).status_code == 200
