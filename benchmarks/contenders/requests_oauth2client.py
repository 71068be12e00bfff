"""requests-oauth2client: an `AuthBase` for requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from requests_oauth2client import BearerToken, OAuth2Client, OAuth2ClientCredentialsAuth

from benchmarks.contenders.base import ISSUER, LIFETIME_S, OnRequests, Shelf, a_token
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE, Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["RequestsOAuth2Client"]


class RequestsOAuth2Client(OnRequests):
    """`OAuth2ClientCredentialsAuth`."""

    name = "requests-oauth2client"
    package = "requests-oauth2client"
    imports = "from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth"
    lacks: ClassVar[Mapping[str, str]] = {**OnRequests.lacks, "disk": "It brings no store that outlives the process."}

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,
    ) -> OAuth2ClientCredentialsAuth:
        client = OAuth2Client(site.token_endpoint, auth=(client_id, CLIENT_SECRET), testing=True)  # http, on loopback
        return OAuth2ClientCredentialsAuth(
            client,
            token=None if shelf is None else shelf.kept.get(self.name),
            scope=SCOPE,
            resource=site.url,
            **({} if leeway_s is None else {"leeway": leeway_s}),
        )

    def holding(self, url: str, number: int = 0) -> OAuth2ClientCredentialsAuth:  # noqa: ARG002 - it sends its token anywhere
        client = OAuth2Client(f"{ISSUER}/token", auth=(f"{CLIENT_ID}-{number}", CLIENT_SECRET))
        token = BearerToken(a_token(number), expires_in=LIFETIME_S)
        return OAuth2ClientCredentialsAuth(client, token=token, scope=SCOPE)

    def keep(self, auth: OAuth2ClientCredentialsAuth, shelf: Shelf) -> None:
        shelf.kept[self.name] = auth.token

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:  # noqa: ARG002
        setup = f"""\
from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth
client = OAuth2Client({site.token_endpoint!r}, auth=({CLIENT_ID!r}, {CLIENT_SECRET!r}), testing=True)
session.auth = OAuth2ClientCredentialsAuth(client, scope={SCOPE!r}, resource={site.url!r})
"""
        return self._program(setup, site.hello)
