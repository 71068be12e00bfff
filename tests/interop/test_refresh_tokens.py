"""gatepass with refresh tokens that are good for one use: the second use of one ends all that came of the sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interop import raw
from interop.person import Person
from interop.place import SECRET, Place
from interop.processes import keeper, kept
from interop.visit import generations, visit, warm_welcome
from interop.wiretap import Wiretap

import gatepass

if TYPE_CHECKING:
    from pathlib import Path


def signed_in(place: Place, person: Person, wiretap: Wiretap) -> gatepass.Auth:
    """A program that somebody has signed in to."""
    way_in = gatepass.AuthorizationCode("app", ask=person.answers)
    auth = gatepass.Auth(place.url, way_in, issuer=place.issuer, http=gatepass.TokenHttp(transport=wiretap))
    auth.token()
    return auth


def test_tokens_of_two_seconds_are_renewed_and_nobody_is_asked_again(
    home: Place, alice: Person, wiretap: Wiretap
) -> None:
    way_in = gatepass.AuthorizationCode("hasty app", ask=alice.answers)
    auth = gatepass.Auth(home.url, way_in, issuer=home.issuer, http=gatepass.TokenHttp(transport=wiretap))

    def stay() -> None:
        generations(auth, 4)

    assert visit(auth, between=stay) == warm_welcome("hasty app")

    assert len(alice.asked) == 1
    assert set(wiretap.grants[1:]) == {"refresh_token"}
    assert len(set(wiretap.refresh_tokens)) == len(wiretap.grants) >= 4


def test_two_processes_that_share_a_store_use_each_refresh_token_once(
    home: Place, alice: Person, tmp_path: Path
) -> None:
    store = tmp_path / "tokens"
    way_in = gatepass.AuthorizationCode("hasty app", ask=alice.answers, subject="alice")
    auth = gatepass.Auth(home.url, way_in, issuer=home.issuer, store=gatepass.FileStore(store))
    auth.token()

    keepers = [keeper(home, store, client="hasty app", generations=5) for _ in range(2)]
    one, other = [kept(process) for process in keepers]

    assert len(set(one) & set(other)) >= 3
    generations(auth, 2)
    assert len(alice.asked) == 1


def test_a_token_that_came_too_late_leaves_its_refresh_token_to_the_next_process(
    home: Place, alice: Person, wiretap: Wiretap, tmp_path: Path
) -> None:
    way_in = gatepass.AuthorizationCode("late app", ask=alice.answers, subject="alice")
    http = gatepass.TokenHttp(transport=wiretap)
    for _ in range(3):
        store = gatepass.FileStore(tmp_path / "tokens")
        gatepass.Auth(home.url, way_in, issuer=home.issuer, store=store, http=http).token()

    assert wiretap.grants == ["authorization_code", "refresh_token", "refresh_token"]


def test_the_second_use_of_a_refresh_token_ends_all_that_came_of_it(
    home: Place, alice: Person, wiretap: Wiretap
) -> None:
    signed_in(home, alice, wiretap)
    [first] = wiretap.refresh_tokens

    second = raw.refresh(home, first).json()["refresh_token"]
    again = raw.refresh(home, first)

    assert again.json()["error"] == raw.refresh(home, second).json()["error"] == "invalid_grant"


def test_when_the_refresh_token_was_revoked_somebody_is_asked_again(
    home: Place, alice: Person, wiretap: Wiretap
) -> None:
    auth = signed_in(home, alice, wiretap)

    def revoke() -> None:
        raw.revoke(home, wiretap.refresh_tokens[-1])
        assert auth.rejected(auth.token())

    assert visit(auth, between=revoke) == warm_welcome("app")
    assert len(alice.asked) == 2


def test_when_the_refresh_token_was_stolen_and_used_the_thief_loses_it_and_somebody_is_asked_again(
    home: Place, alice: Person, wiretap: Wiretap
) -> None:
    auth = signed_in(home, alice, wiretap)
    stolen = raw.refresh(home, wiretap.refresh_tokens[-1]).json()["refresh_token"]

    assert auth.rejected(auth.token())
    auth.token()

    assert len(alice.asked) == 2
    assert raw.refresh(home, stolen).json()["error"] == "invalid_grant"


def test_when_the_refresh_token_was_revoked_a_process_without_a_browser_says_that_somebody_must_sign_in(
    home: Place, alice: Person, wiretap: Wiretap, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = gatepass.MemoryStore()
    way_in = gatepass.AuthorizationCode("app", ask=alice.answers, subject="alice")
    http = gatepass.TokenHttp(transport=wiretap)
    gatepass.Auth(home.url, way_in, issuer=home.issuer, store=store, http=http).token()
    monkeypatch.setenv("CI", "true")
    way_in = gatepass.AuthorizationCode("app", subject="alice")
    headless = gatepass.Auth(home.url, way_in, issuer=home.issuer, store=store)
    assert visit(headless) == warm_welcome("app")

    raw.revoke(home, wiretap.refresh_tokens[-1])
    assert headless.rejected(headless.token())
    with pytest.raises(gatepass.SignInRequiredError, match="has to sign in") as refused:
        headless.token()

    assert refused.value.url
    assert refused.value.url.startswith(f"{home.issuer}/auth?")


def test_signing_out_ends_the_refresh_token_at_the_server(home: Place, alice: Person, wiretap: Wiretap) -> None:
    auth = signed_in(home, alice, wiretap)
    [refresh_token] = wiretap.refresh_tokens

    assert auth.forget()

    assert raw.refresh(home, refresh_token).json()["error"] == "invalid_grant"
    assert auth.token()
    assert len(alice.asked) == 2


def test_a_token_that_the_server_can_not_revoke_is_forgotten_all_the_same(proving: Place) -> None:
    way_in = gatepass.ClientCredentials(gatepass.ClientSecret("prover", SECRET))
    auth = gatepass.Auth(proving.url, way_in, issuer=proving.issuer, dpop=True)
    first = auth.token()

    assert not auth.forget()
    assert auth.token() != first
