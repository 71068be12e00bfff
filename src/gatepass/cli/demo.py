"""`gatepass demo`: the whole way in, between real servers on this machine, with every claim checked."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, cast

import gatepass
from gatepass.cli.voice import Voice  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.client import Client

    from gatepass.cli.page import Page
    from gatepass.cli.watch import Watch
    from gatepass.client_auth.base import ClientAuthentication
    from gatepass.testing import AuthorizationServer, ProtectedServer

__all__ = ["demo"]

_SCOPE = "mcp:tools"
_DISCOVERIES = 2
"""The resource's metadata and the authorization server's."""

_LIFETIME_S = 4.0
_PAUSE_S = 0.25
_CALLS = 28
_TOKENS = 3
"""That many calls, that far apart, outlive the first tokens of that lifetime."""


def demo(voice: Voice) -> None:
    """See it work, between two servers on this machine.

    Gets in with a client secret and with a private key, stays in while tokens run out, and shows what a wrong secret
    looks like. It takes about ten seconds, talks to nobody but itself and leaves nothing behind. Exit code 0 means
    that everything it says was checked; with --quiet, that is all it says.

    \b
    $ gatepass demo
    """
    from gatepass.cli.page import Page

    asyncio.run(_play(Page(quiet=voice.quiet)))


async def _play(page: Page) -> None:
    from gatepass.testing import AuthorizationServer, ProtectedServer

    began = time.monotonic()
    page.title("gatepass demo: past the gate of a protected MCP server, and staying in")
    with (
        AuthorizationServer(scopes=(_SCOPE,)) as authority,
        ProtectedServer(authority, scopes=(_SCOPE,)) as server,
    ):
        stage = _Stage(page, authority, server)
        stage.introduce()
        await stage.enter_with_a_secret()
        await stage.enter_with_a_key()
        await stage.stay_in()
        await stage.fail_with_a_wrong_secret()
    page.end(time.monotonic() - began)


class _Stage:
    """The two servers and what is played between them. What happened is read from the servers' own books."""

    def __init__(self, page: Page, authority: AuthorizationServer, server: ProtectedServer) -> None:
        self._page = page
        self._authority = authority
        self._server = server
        self._secret = gatepass.Secret(secrets.token_urlsafe())
        authority.add_client("demo-secret", secret=self._secret.reveal())

    def introduce(self) -> None:
        self._page.step("Two servers start on this machine")
        self._page.fact("authorization server", self._authority.issuer)
        self._page.fact("MCP server", self._server.url)

    async def enter_with_a_secret(self) -> None:
        self._page.step("In with a client secret; a 401 says where to get a token, and for what")
        await self._visit(gatepass.ClientSecret("demo-secret", self._secret), scopes=None, refused=1)

    async def enter_with_a_key(self) -> None:
        from joserfc.jwk import ECKey

        self._page.step("In with a private key, made just now; the scopes are known, so no 401")
        key = ECKey.generate_key("P-256")
        self._authority.add_client("demo-key", public_key=key.as_pem(private=False))
        await self._visit(gatepass.PrivateKeyJwt("demo-key", key.as_pem(private=True)), scopes=[_SCOPE], refused=0)

    async def stay_in(self) -> None:
        self._page.step(f"Staying in: a token lives {_LIFETIME_S:g} s, and every {_PAUSE_S:g} s comes a call")
        self._authority.token_lifetime_s = _LIFETIME_S
        watch = self._watch()
        auth = self._auth(gatepass.ClientSecret("demo-secret", self._secret), watch, scopes=[_SCOPE])
        right, slowest_s = 0, 0.0
        async with gatepass.connect(auth, http_options=watch.http_options) as mcp:
            for number in range(_CALLS):
                self._page.tick(self._authority.count("token", status=200))
                sent = time.monotonic()
                right += await _add(mcp, number, 1) == number + 1
                slowest_s = max(slowest_s, time.monotonic() - sent)
                await asyncio.sleep(_PAUSE_S)
        self._page.ticked()
        tokens = self._authority.count("token", status=200)
        self._page.claim(
            f"{right} of {_CALLS} calls were answered, the slowest in {slowest_s * 1000:.0f} ms",
            holds=right == _CALLS,
        )
        self._page.claim(
            f"it took {tokens} tokens and {tokens} requests for them",
            holds=tokens >= _TOKENS and tokens == self._authority.count("token"),
        )
        self._page.claim(
            "no call met a 401, and nothing was discovered again",
            holds=self._server.rejected == 0 and self._discovered == _DISCOVERIES,
        )

    async def fail_with_a_wrong_secret(self) -> None:
        self._page.step("A wrong secret, and the error that your program gets")
        wrong = gatepass.Secret(secrets.token_urlsafe())
        watch = self._watch()
        auth = self._auth(gatepass.ClientSecret("demo-secret", wrong), watch, scopes=[_SCOPE])
        error: gatepass.GatepassError | None = None
        try:
            async with gatepass.connect(auth, http_options=watch.http_options):
                pass
        except gatepass.GatepassError as refusal:
            error = refusal
        self._page.requests(watch.seen)
        self._page.quote(f"{type(error).__name__}: {error}")
        self._page.claim(
            "it is a typed error with the server's own code, invalid_client",
            holds=isinstance(error, gatepass.RemoteError) and error.error == "invalid_client",
        )
        self._page.claim(
            "no secret stands in it",
            holds=not any(secret.reveal() in f"{error!r} {vars(error)}" for secret in (wrong, self._secret)),
        )
        self._page.claim("the MCP server heard nothing of it", holds=self._server.count("resource") == 0)

    async def _visit(self, client: ClientAuthentication, *, scopes: list[str] | None, refused: int) -> None:
        """Get in, look around, call two tools, and compare what both sides saw."""
        watch = self._watch()
        auth = self._auth(client, watch, scopes=scopes)
        async with gatepass.connect(auth, http_options=watch.http_options) as mcp:
            tools = [tool.name for tool in (await mcp.list_tools()).tools]
            five = await _add(mcp, 2, 3)
            known_as = (await _call(mcp, "whoami")).get("client_id")
        self._page.requests(watch.seen)
        self._page.fact("tools", ", ".join(tools))
        self._page.fact("add a=2 b=3", five)
        self._page.fact("whoami", known_as)
        counted = (self._discovered, self._authority.count("token"), self._server.rejected)
        self._page.claim(
            f"2 requests to discover, 1 for the token, {refused or 'no'} 401; both servers agree",
            holds=counted == (_DISCOVERIES, 1, refused)
            and len(watch.seen) == self._authority.count() + self._server.count(),
        )
        self._page.claim(
            f"the tools answered, and knew {client.client_id} by its token",
            holds={"add", "whoami"} <= set(tools) and five == 2 + 3 and known_as == client.client_id,
        )

    def _auth(self, client: ClientAuthentication, watch: Watch, *, scopes: list[str] | None) -> gatepass.Auth:
        return gatepass.Auth(
            self._server.url,
            gatepass.ClientCredentials(client),
            issuer=self._authority.issuer,
            scopes=scopes,
            http=watch.token_http,
        )

    def _watch(self) -> Watch:
        """Begin to count anew."""
        from gatepass.cli.watch import Watch

        self._authority.reset_counters()
        self._server.reset_counters()
        return Watch()

    @property
    def _discovered(self) -> int:
        return self._authority.count("metadata", status=200) + self._server.count("metadata", status=200)


async def _add(mcp: Client, a: int, b: int) -> object:
    """What the server's tool makes of two numbers."""
    return (await _call(mcp, "add", a=a, b=b)).get("result")


async def _call(mcp: Client, tool: str, **arguments: int) -> Mapping[str, object]:
    return cast("Mapping[str, object]", (await mcp.call_tool(tool, {**arguments})).structured_content or {})
