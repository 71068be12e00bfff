"""`gatepass proxy`: the remote MCP server, for programs that can't get in by themselves."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import signal
import socket
import sys
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from gatepass.cli.access import Access, Way, Where
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.issued import leave
from gatepass.cli.screen import write_json
from gatepass.cli.voice import Voice, note
from gatepass.cli.wording import as_options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextlib import AbstractContextManager


__all__ = ["proxy"]

_CALLERS = "The key of local callers"
_MAX_PORT = 65535
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+)):(?P<port>\d{1,5})")


def proxy(
    where: Where,
    who: Who,
    way: Way,
    voice: Voice,
    *,
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak MCP on stdin and stdout.")] = False,
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve MCP on a port of this machine; port 0 takes one that is free."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The file that holds it; made, with a new key in it, where there is none.",
            rich_help_panel=_CALLERS,
        ),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The environment variable that holds it.", rich_help_panel=_CALLERS),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --http: say where it serves and where the key is, as JSON.")
    ] = False,
) -> None:
    """Be the remote MCP server, authorized, for programs that can't get in by themselves.

    With --stdio for an MCP host that starts its servers: whatever passes between the two, passes, and tokens, renewals
    and lost sessions are not their business. With --http for programs in any language: http://HOST:PORT/mcp is the MCP
    endpoint, for callers that send the header Authorization: Bearer KEY. The key is a new one each time, in a file of
    your own, unless --key-file or --key-env says otherwise.

    \b
    $ claude mcp add reports -- gatepass proxy reports --stdio
    $ gatepass proxy reports --http 127.0.0.1:8900 --key-file reports.key
    $ printf 'Authorization: Bearer %s' "$(cat reports.key)" |
          curl -H @- localhost:8900/mcp ...
    """
    _check(stdio=stdio, http=http, key_file=key_file, key_env=key_env)
    address = None if http is None else _Address.read(http)
    access = Access.to(where, who, way)
    try:
        if address is None:
            if sys.stdin.isatty():
                note(voice, "This speaks MCP on stdin and stdout; it is for an MCP host to start.")
            _until_told(_speak(access))
        else:
            with address.listening() as (listening, bound), _key(bound, key_file, key_env) as (key, file):
                announce = partial(_announce, bound, file, voice, as_json=as_json)
                _until_told(_serve(access, listening, bound, key, announce))
    finally:
        leave(access)


def _check(*, stdio: bool, http: str | None, key_file: Path | None, key_env: str | None) -> None:
    if stdio and http is not None:
        msg = "--stdio and --http exclude each other: start one proxy for each."
        raise UsageError(msg)
    if not stdio and http is None:
        msg = "Give --stdio for a host that starts it, or --http 127.0.0.1:PORT for programs that call it."
        raise UsageError(msg)
    if key_file and key_env:
        msg = "--key-file and --key-env both give the key: leave one out."
        raise UsageError(msg)
    if stdio and (key_file or key_env):
        msg = f"{'--key-file' if key_file else '--key-env'} goes with --http: on stdio there is nobody to keep out."
        raise UsageError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """A port of this machine."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what --http says.

        Raises:
            UsageError: it is no address, or one that others could reach.
        """
        parts = _ADDRESS.fullmatch(text)
        if parts is None or int(parts["port"]) > _MAX_PORT:
            msg = "--http takes a host and a port, such as 127.0.0.1:8900."
            raise UsageError(msg)
        host = parts["v6"] or parts["name"]
        host = "127.0.0.1" if host == "localhost" else host
        try:
            parsed = ipaddress.ip_address(host)
            host, is_ours = str(parsed), parsed.is_loopback
        except ValueError:
            is_ours = False
        if not is_ours:
            msg = f"--http {text}: others could reach that address, and the token with it. Take 127.0.0.1 or [::1]."
            raise UsageError(msg)
        return cls(host=host, port=int(parts["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @contextmanager
    def listening(self) -> Generator[tuple[socket.socket, _Address]]:
        """A socket that listens there, and the address that it has got.

        Raises:
            UsageError: the port is not to be had.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((self.host, self.port))
                listening.listen()
            except OSError as problem:
                reason = problem.strerror
            else:
                yield listening, _Address(host=self.host, port=listening.getsockname()[1])
                return
        msg = f"--http {self}: the port can't be had ({reason}). Take another one; 0 takes one that is free."
        raise UsageError(msg)


def _key(
    address: _Address, key_file: Path | None, key_env: str | None
) -> AbstractContextManager[tuple[str, Path | None]]:
    """The key, and the file that holds it."""
    from gatepass.bridge.key import key_for_now, key_in, key_named

    if key_env:
        return nullcontext((key_named(key_env), None))
    if key_file:
        return nullcontext((key_in(key_file), key_file))
    return key_for_now(f"proxy-{re.sub('[^0-9a-z]+', '-', str(address)).strip('-')}.key")


def _announce(address: _Address, file: Path | None, voice: Voice, *, as_json: bool) -> None:
    """Say where it serves: to a program on stdout, to a person beside it."""
    url = f"http://{address}/mcp"
    if as_json:
        found = {"url": url, "key_file": None if file is None else str(file.absolute())}
        write_json(found, indent=None)
    else:
        sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    if file is not None:
        note(voice, f"Callers send the header Authorization: Bearer KEY; the key is in {file}.")


async def _speak(access: Access) -> None:
    from gatepass.bridge.relay import Relay
    from gatepass.bridge.remote import Remote
    from gatepass.bridge.stdio import Stdio, claim

    async with Remote(access.auth, access.http_options) as remote, Stdio(*claim()) as host:
        await Relay(remote, host, as_options).run()


async def _serve(
    access: Access, listening: socket.socket, address: _Address, key: str, announce: Callable[[], None]
) -> None:
    from gatepass.bridge.loopback import Loopback, serve
    from gatepass.bridge.remote import Remote

    async with Remote(access.auth, access.http_options) as remote:
        announce()  # from now on whoever ends it may do so, and it ends as it should
        await serve(Loopback(remote, key, address=str(address), explain=as_options), listening)


def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until it is done, or somebody ends it: Ctrl-C says so by an exception, SIGTERM is an end like any other.

    So is a terminal that closes, unless this was started to outlive it (nohup).
    """

    async def watched() -> None:
        ending = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, ending.cancel)
        hangup = getattr(signal, "SIGHUP", None)  # Windows has none
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
            loop.add_signal_handler(hangup, ending.cancel)
        await ending

    with suppress(asyncio.CancelledError):
        asyncio.run(watched())
