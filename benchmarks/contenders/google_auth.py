"""google-auth: its model of credentials and `AuthorizedSession`.

It knows the grants of Google alone. Ten lines, at the place that it has for such things, teach it client credentials;
what is measured is when it calls them.
"""

from __future__ import annotations

import base64
import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from google.auth import credentials, exceptions
from google.auth.transport.requests import AuthorizedSession

from benchmarks.contenders.base import ISSUER, LIFETIME_S, READY, URL, OnRequests, Shelf, a_token, in_process, pooled
from benchmarks.servers import CLIENT_ID, CLIENT_SECRET, SCOPE, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import requests

__all__ = ["GoogleAuth"]


class ClientCredentials(credentials.Credentials):
    """A client with a secret."""

    def __init__(self, token_endpoint, client_id, client_secret, scope):
        super().__init__()
        self.token = None
        self._token_endpoint = token_endpoint
        self._basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._body = urlencode({"grant_type": "client_credentials", "scope": scope}).encode()

    def refresh(self, request):
        headers = {"Authorization": f"Basic {self._basic}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = request(self._token_endpoint, "POST", self._body, headers)
        if answer.status != 200:
            raise exceptions.RefreshError(str(answer.status))
        token = json.loads(answer.data)
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=token["expires_in"])
        self.token = token["access_token"]


class GoogleAuth(OnRequests):
    """A session for each identity."""

    name = "google-auth"
    package = "google-auth"
    imports = "from google.auth import credentials; from google.auth.transport.requests import AuthorizedSession"
    lacks: ClassVar[Mapping[str, str]] = {**OnRequests.lacks, "disk": "It brings no store that outlives the process."}

    def cold(
        self,
        site: Site,
        *,
        client_id: str = CLIENT_ID,
        shelf: Shelf | None = None,
        leeway_s: float | None = None,  # noqa: ARG002 - 225 seconds, which is no option
    ) -> ClientCredentials:
        auth = ClientCredentials(site.token_endpoint, client_id, CLIENT_SECRET, SCOPE)
        if shelf is not None:
            auth.token, auth.expiry = shelf.kept.get(self.name, (None, None))
        return auth

    def holding(self, url: str, number: int = 0) -> ClientCredentials:  # noqa: ARG002 - it sends its token anywhere
        auth = ClientCredentials(f"{ISSUER}/token", f"{CLIENT_ID}-{number}", CLIENT_SECRET, SCOPE)
        auth.token = a_token(number)
        auth.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=LIFETIME_S)
        return auth

    def keep(self, auth: ClientCredentials, shelf: Shelf) -> None:
        shelf.kept[self.name] = (auth.token, auth.expiry)

    def member(self, auth: Any, *, asynchronous: bool = False) -> AuthorizedSession:  # noqa: ARG002
        return in_process(AuthorizedSession(auth))

    def caller(self) -> Callable[[Any], object]:
        return lambda member: member.get(URL)

    def _sessions(self, auths: Sequence[Any], connections: int) -> list[tuple[requests.Session, dict[str, Any]]]:
        return [(pooled(AuthorizedSession(auth), connections), {}) for auth in auths]

    def program(self, site: Site, *, asynchronous: bool = False, folder: Path | None = None) -> str:  # noqa: ARG002
        return f"""\
import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from google.auth import credentials, exceptions
from google.auth.transport.requests import AuthorizedSession
{inspect.getsource(ClientCredentials)}
auth = ClientCredentials({site.token_endpoint!r}, {CLIENT_ID!r}, {CLIENT_SECRET!r}, {SCOPE!r})
session = AuthorizedSession(auth)
{READY}
session.get({site.hello!r}).raise_for_status()
"""
