"""The other side: the authorization server with its faults, and the resource that takes its tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from math import ceil, floor
from random import Random
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, urlsplit

from gatepass.core.http import HttpRequest, HttpResponse
from simulation.hub import Hub
from simulation.storage import EPOCH

if TYPE_CHECKING:
    from simulation.fleet import Asking
    from simulation.watch import Watch

ISSUER = "https://as.example.com"
ENDPOINT = "https://mcp.example.com/mcp"

LONGER = 1.1
"""By how much a client may exceed what a Retry-After says, so that not all come back at once."""

Trouble = Literal["refuses", "hangs", "mute", "busy", "closed", "limits", "slow"]
"""No connection; no answer; it does what it is asked but its answer is lost; 503; 503 with the date of the end in its
Retry-After; 429 with seconds there; seconds for each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a server for a while. `value_s` is how slow it is, or what its Retry-After says."""

    trouble: Trouble
    ends_at: float
    value_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Issued:
    """A token that was issued, as both servers know it.

    Attributes:
        service: to which client.
        number: counts all tokens.
        at: when, by the true clock ...
        until: ... and when its life ends.
        key: the generation of the key that signed it.
        family: of which refresh tokens it came; none without.
    """

    service: str
    number: int
    at: float
    until: float
    key: int
    family: int | None = None


@dataclass(slots=True, kw_only=True)
class Spending:
    """A refresh token, and by whom it was spent.

    Attributes:
        family: all refresh tokens that came of one grant.
        spent_by: whose request spent it, once one did.
    """

    family: int
    spent_by: Asking | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server does with a request: the answer (or there never is one), how long it thinks, or no connection."""

    answer: HttpResponse | None = None
    takes_s: float = 0.0
    refused: bool = False


class Resource:
    """The MCP server: it says where its tokens come from, and refuses what is no good.

    Args:
        max_age_s: for how long its metadata, and the server's, may be kept; None if they do not say.

    Attributes:
        oldest_key: tokens that an older key has signed are refused.
    """

    def __init__(self, max_age_s: int | None) -> None:
        self.max_age_s = max_age_s
        self.oldest_key = 0
        self.revoked_families: set[int] = set()
        self.issued: dict[str, Issued] = {}

    def accepts(self, access_token: str, now: float) -> bool:
        """Whether a request with that token gets in."""
        return self.good(self.issued[access_token], now)

    def good(self, token: Issued, now: float) -> bool:
        """Whether a token is alive and was not refused."""
        return now < token.until and token.key >= self.oldest_key and token.family not in self.revoked_families

    def reply(self, request: HttpRequest) -> Reply:
        """Its metadata stands at the root, so that the first place a client looks in has none."""
        if urlsplit(request.url).path != "/.well-known/oauth-protected-resource":
            return Reply(HttpResponse(status=404))
        return Reply(json_answer({"resource": ENDPOINT, "authorization_servers": [ISSUER]}, 200, self.max_age_s))


class AuthorizationServer:
    """Issues tokens to clients that know their secret, and is not always well.

    Args:
        hub: the time.
        dice: chance.
        resource: learns of each token.
        watch: sees each request.
        lifetime_s: how long its tokens live.
        capacity_per_s: how many requests it takes in a second; to more it says 429.
        refreshable: it issues refresh tokens, each of which can be used once. One that is used again is taken for
            stolen, and all that came of its grant ends (RFC 9700 §4.14.2).

    Attributes:
        fault: what is wrong just now.
        well_since: since when nothing is.
        wait_until: when everybody is back who was told to come back later.
        secrets: of each client, those that it takes.
        requests: how many came in each second.
        minutes: how many came in each minute.
        token_requests: how many were for a token.
    """

    def __init__(
        self,
        hub: Hub,
        dice: Random,
        resource: Resource,
        watch: Watch,
        *,
        lifetime_s: float,
        capacity_per_s: int,
        refreshable: bool,
    ) -> None:
        self.fault: Fault | None = None
        self.well_since = self.wait_until = 0.0
        self.secrets: dict[str, set[str]] = {}
        self.requests: dict[int, int] = {}
        self.minutes: dict[int, int] = {}
        self.token_requests = 0
        self.key = 0
        self.spendings: dict[str, Spending] = {}
        self._hub = hub
        self._dice = dice
        self._resource = resource
        self._watch = watch
        self._lifetime_s = lifetime_s
        self._capacity_per_s = capacity_per_s
        self._refreshable = refreshable
        self._families = 0

    def rotate_key(self) -> None:
        """Sign with a new key from now on; the resource takes the old one's tokens no more."""
        self.key += 1
        self._resource.oldest_key = self.key

    def reply(self, request: HttpRequest, asking: Asking | None) -> Reply:
        """What becomes of a request that arrives now."""
        second, fault = int(self._hub.now), self.fault
        self.requests[second] = self.requests.get(second, 0) + 1
        self.minutes[second // 60] = self.minutes.get(second // 60, 0) + 1
        self.token_requests += request.method == "POST"
        self._watch.request_came()
        if fault is not None:
            return self._reply_in_trouble(request, asking, fault)
        if self.requests[second] > self._capacity_per_s:
            return Reply(unavailable(429, "1"), 0.01)
        return Reply(self._answer(request, asking), self._dice.expovariate(20.0))

    def _reply_in_trouble(self, request: HttpRequest, asking: Asking | None, fault: Fault) -> Reply:
        match fault.trouble:
            case "refuses":
                return Reply(refused=True)
            case "hangs":
                return Reply()
            case "mute":
                self._answer(request, asking)
                return Reply()
            case "busy":
                return Reply(HttpResponse(status=503, body=b"<h1>Service Unavailable</h1>"), 0.01)
            case "closed":
                now, back_at = floor(self._hub.now), ceil(fault.ends_at)
                self._come_back_in(back_at - now)
                return Reply(unavailable(503, http_date(back_at), date=http_date(now)), 0.01)
            case "limits":
                self._come_back_in(fault.value_s)
                return Reply(unavailable(429, f"{fault.value_s:.0f}"), 0.01)
            case "slow":
                return Reply(self._answer(request, asking), self._dice.uniform(0.5, 1.0) * fault.value_s)

    def _come_back_in(self, seconds: float) -> None:
        self.wait_until = max(self.wait_until, self._hub.now + LONGER * seconds)

    def _answer(self, request: HttpRequest, asking: Asking | None) -> HttpResponse:
        if request.method == "GET":
            return self._metadata(request)
        form = dict(parse_qsl(request.body.decode()))
        service = form["client_id"]
        if form["client_secret"] not in self.secrets[service]:
            return json_answer({"error": "invalid_client"}, 401)
        if form["grant_type"] == "refresh_token":
            return self._renew(service, form["refresh_token"], asking)
        return self._issue(service, self._new_family() if self._refreshable else None, asking)

    def _metadata(self, request: HttpRequest) -> HttpResponse:
        """OpenID Connect's place only, as with many servers: a client looks elsewhere first."""
        if urlsplit(request.url).path != "/.well-known/openid-configuration":
            return HttpResponse(status=404)
        document = {
            "issuer": ISSUER,
            "token_endpoint": f"{ISSUER}/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "grant_types_supported": ["client_credentials", "refresh_token"],
        }
        return json_answer(document, 200, self._resource.max_age_s)

    def _renew(self, service: str, refresh_token: str, asking: Asking | None) -> HttpResponse:
        spending = self.spendings[refresh_token]
        if spending.family in self._resource.revoked_families:
            return json_answer({"error": "invalid_grant"}, 400)
        if spending.spent_by is not None:
            self._resource.revoked_families.add(spending.family)
            if asking is not None:
                self._watch.reused(spending, asking)
            return json_answer({"error": "invalid_grant"}, 400)
        spending.spent_by = asking
        return self._issue(service, spending.family, asking)

    def _new_family(self) -> int:
        self._families += 1
        return self._families

    def _issue(self, service: str, family: int | None, asking: Asking | None) -> HttpResponse:
        now, issued = self._hub.now, self._resource.issued
        number = len(issued) + 1
        token = Issued(
            service=service, number=number, at=now, until=now + self._lifetime_s, key=self.key, family=family
        )
        issued[f"token-{number}"] = token
        if asking is not None:
            asking.token = f"token-{number}"
            self._watch.issued(token, asking)
        answer = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": self._lifetime_s}
        if family is not None:
            answer["refresh_token"] = f"refresh-{number}"
            self.spendings[f"refresh-{number}"] = Spending(family=family)
        return json_answer(answer)


def json_answer(document: object, status: int = 200, max_age_s: int | None = None) -> HttpResponse:
    cached = (("Cache-Control", f"max-age={max_age_s}"),) if max_age_s is not None else ()
    headers = (("Content-Type", "application/json"), *cached)
    return HttpResponse(status=status, headers=headers, body=json.dumps(document).encode())


def unavailable(status: int, retry_after: str, date: str | None = None) -> HttpResponse:
    dated = (("Date", date),) if date is not None else ()
    return HttpResponse(status=status, headers=(("Retry-After", retry_after), *dated))


def http_date(at: int) -> str:
    return formatdate(EPOCH + at, usegmt=True)
