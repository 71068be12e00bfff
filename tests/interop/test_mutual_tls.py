"""gatepass with tokens that are bound to the client's certificate, which both servers look at (RFC 8705)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from interop import raw
from interop.certificates import Certificates
from interop.person import Person
from interop.place import SECRET, Place
from interop.visit import visit, warm_welcome

import gatepass

Fortress = tuple[Place, Certificates]

CLIENTS = {
    "bot": gatepass.TlsClient("bot"),
    "lone": gatepass.TlsClient("lone"),
    "bot with a secret": gatepass.ClientSecret("bot with a secret", SECRET),
}


def http_with(certificates: Certificates, shown: Path | None) -> gatepass.TokenHttp:
    """A way to the authorization server, where that certificate is shown."""
    return gatepass.TokenHttp(verify=certificates.authority, cert=str(shown) if shown else None)


def context_with(certificates: Certificates, shown: Path | None) -> ssl.SSLContext:
    """The same for any other HTTP client."""
    context = ssl.create_default_context(cafile=certificates.authority)
    if shown:
        context.load_cert_chain(shown)
    return context


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("client_id", CLIENTS)
def test_a_certificate_gets_in_and_calls_a_tool(fortress: Fortress, client_id: str, mode: str) -> None:
    place, certificates = fortress
    way_in = gatepass.ClientCredentials(CLIENTS[client_id])
    http = http_with(certificates, certificates.lone if client_id == "lone" else certificates.bot)
    auth = gatepass.Auth(place.url, way_in, issuer=place.issuer, http=http)

    assert visit(auth, mode=mode) == warm_welcome(client_id)


def test_a_token_is_no_good_on_a_connection_with_another_certificate_or_none(fortress: Fortress) -> None:
    place, certificates = fortress
    way_in = gatepass.ClientCredentials(gatepass.TlsClient("bot"))
    http = http_with(certificates, certificates.bot)
    token = gatepass.Auth(place.url, way_in, issuer=place.issuer, http=http).token()

    statuses = [
        raw.knock(place, token, trust=context_with(certificates, shown)).status_code
        for shown in (certificates.bot, certificates.stranger, certificates.lone, None)
    ]

    assert statuses == [200, 401, 401, 401]


@pytest.mark.parametrize("client_id", ["bot", "lone"])
def test_a_certificate_that_the_server_does_not_know_is_refused_as_invalid_client(
    fortress: Fortress, client_id: str
) -> None:
    place, certificates = fortress
    way_in = gatepass.ClientCredentials(gatepass.TlsClient(client_id))
    http = http_with(certificates, certificates.stranger)

    with pytest.raises(gatepass.RemoteError) as refused:
        gatepass.Auth(place.url, way_in, issuer=place.issuer, http=http).token()

    assert refused.value.error == "invalid_client"


def test_a_client_without_its_certificate_is_refused_before_anything_is_sent(fortress: Fortress) -> None:
    place, certificates = fortress
    way_in = gatepass.ClientCredentials(gatepass.TlsClient("bot"))

    with pytest.raises(gatepass.ConfigurationError) as refused:
        gatepass.Auth(place.url, way_in, issuer=place.issuer, http=http_with(certificates, None)).token()

    assert refused.value.code == "certificate_missing"


def test_a_certificate_that_is_renewed_on_disk_is_shown_from_then_on(fortress: Fortress, tmp_path: Path) -> None:
    place, certificates = fortress
    own = tmp_path / "own.pem"
    own.write_bytes(certificates.bot.read_bytes())
    way_in = gatepass.ClientCredentials(gatepass.TlsClient("bot"))
    auth = gatepass.Auth(place.url, way_in, issuer=place.issuer, http=http_with(certificates, own))
    assert visit(auth) == warm_welcome("bot")
    first = auth.token()

    own.write_bytes(certificates.renewed_bot.read_bytes())

    assert visit(auth) == warm_welcome("bot")
    assert auth.token() != first


def test_somebodys_app_shows_its_certificate_when_it_redeems_the_code_and_at_each_renewal(fortress: Fortress) -> None:
    place, certificates = fortress
    alice = Person("alice", trust=context_with(certificates, None))
    way_in = gatepass.AuthorizationCode("app", ask=alice.answers)
    http = http_with(certificates, certificates.stranger)
    auth = gatepass.Auth(place.url, way_in, issuer=place.issuer, http=http)

    def renew() -> None:
        assert auth.rejected(auth.token())

    assert visit(auth, between=renew) == warm_welcome("app")
    assert auth.forget()
    assert len(alice.asked) == 1


def test_an_endpoint_for_certificates_at_another_origin_must_be_allowed_where_no_issuer_is_pinned(
    fortress: Fortress,
) -> None:
    place, certificates = fortress
    way_in = gatepass.ClientCredentials(gatepass.TlsClient("bot"))
    http = http_with(certificates, certificates.bot)

    with pytest.raises(gatepass.RemoteError):
        gatepass.Auth(place.url, way_in, http=http).token()

    auth = gatepass.Auth(place.url, way_in, http=http, allow_endpoint_origins=[place.elsewhere.removesuffix("/token")])
    assert visit(auth) == warm_welcome("bot")
