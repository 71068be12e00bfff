"""`gatepass testserver`: a protected MCP server and its authorization server, well or broken, to test clients with."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from gatepass.cli.exits import UsageError
from gatepass.cli.page import Page
from gatepass.cli.screen import write_json, write_table
from gatepass.cli.span import seconds
from gatepass.cli.voice import Voice, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from types import FrameType

    from gatepass.testing import RequestRecord, Stage
    from gatepass.testing.gallery import Recipe

__all__ = ["testserver"]

_HIGHEST_PORT = 65_535
_FIRST_REFUSAL = 400
_LIFETIME_S = 300.0
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_PANEL = "The servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the servers are to be like."""

    trouble: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Be one of the broken servers of the gallery.", rich_help_panel=_PANEL),
    ] = None
    list_troubles: Annotated[
        bool, typer.Option("--list-troubles", help="List the gallery, and end.", rich_help_panel=_PANEL)
    ] = False
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            min=0,
            max=_HIGHEST_PORT,
            show_default=False,
            help="Where the MCP server listens; else on any port that is free.",
            rich_help_panel=_PANEL,
        ),
    ] = 0
    issuer_port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            min=0,
            max=_HIGHEST_PORT,
            show_default=False,
            help="Where the authorization server listens; likewise.",
            rich_help_panel=_PANEL,
        ),
    ] = 0
    token_lifetime: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            help="How long a token lives, such as 5s, 2m or 1h; else 5m.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    client: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="A client that is known, instead of ci-bot; may be repeated.", rich_help_panel=_PANEL
        ),
    ] = None
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one line of JSON, or the gallery as JSON, and nothing more.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = False


def testserver(wanted: Wanted, voice: Voice) -> None:
    """Start a protected MCP server with its authorization server, to test clients with.

    Both are real and strict, and listen on 127.0.0.1 only. It prints what a client has to be told. Secrets and keys are
    made for this run, and stand in files that only you can read and that are gone at the end. Then comes a line for
    each request, with the reason if it is refused; --quiet leaves these out.

    Ctrl-C ends it (exit code 130), and so do SIGTERM and SIGHUP (exit code 0).

    \b
    $ gatepass testserver --token-lifetime 5s
    $ gatepass testserver --trouble issuer-with-trailing-slash
    $ gatepass testserver --list-troubles
    """
    if wanted.list_troubles:
        _list(as_json=wanted.as_json)
        return
    recipe = _recipe(wanted.trouble)
    with _until_a_signal() as happenings, TemporaryDirectory(prefix="gatepass-") as directory:
        stage = _staged(wanted, Path(directory))
        if not (wanted.as_json or voice.quiet):
            _listen(stage, happenings)
        with stage:
            board = _Board()
            if wanted.as_json:
                write_json(_description(stage, recipe), indent=None)
                sys.stdout.flush()
            else:
                board.introduce(stage, recipe)
            while (happening := happenings.get()) is not None:
                board.request(*happening)


_Happenings = SimpleQueue["tuple[str, RequestRecord] | None"]
"""What was asked at which server; None: it is time to end."""


@contextmanager
def _until_a_signal() -> Generator[_Happenings]:
    """What happens, until somebody wants us to end."""
    happenings: _Happenings = SimpleQueue()

    def end(_number: int, _frame: FrameType | None) -> None:
        happenings.put(None)

    before = {number: signal.signal(number, end) for number in _ENDS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield happenings
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(stage: Stage, happenings: _Happenings) -> None:
    def tells(name: str) -> Callable[[RequestRecord], None]:
        return lambda record: happenings.put((name, record))

    for server in stage.servers:
        server.on_request = tells("issuer" if server is stage.authorization_server else "mcp")


def _staged(wanted: Wanted, directory: Path) -> Stage:
    from gatepass.testing import gallery

    clients = tuple(wanted.client or ["ci-bot"])
    if not all(clients):
        msg = "--client is empty: give an id."
        raise UsageError(msg)
    try:
        return gallery.staged(
            wanted.trouble,
            directory,
            clients=clients,
            port=wanted.port,
            issuer_port=wanted.issuer_port,
            token_lifetime_s=wanted.token_lifetime or _LIFETIME_S,
        )
    except OSError as problem:
        reason = problem.strerror
    named = {"--port": wanted.port, "--issuer-port": wanted.issuer_port}
    given = " and ".join(f"{option} {number}" for option, number in named.items() if number)
    msg = f"The servers can't start{f' with {given}' if given else ''}: {reason}."
    raise UsageError(f"{msg} Without a port, they take any that is free." if given else msg)


def _recipe(name: str | None) -> Recipe | None:
    from gatepass.testing import gallery

    recipes = {recipe.name: recipe for recipe in gallery.RECIPES}
    if name is None or name in recipes:
        return recipes.get(name or "")
    near = get_close_matches(name, recipes, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    msg = f"The gallery has no {printable(name)!r}.{guess} gatepass testserver --list-troubles shows all."
    raise UsageError(msg)


def _list(*, as_json: bool) -> None:
    from gatepass.testing import gallery

    if as_json:
        write_json([_told_of(recipe) for recipe in gallery.RECIPES])
    else:
        write_table(
            ("name", "fault", "what is wrong"), [(each.name, each.fault, each.what) for each in gallery.RECIPES]
        )


def _told_of(recipe: Recipe) -> Mapping[str, object]:
    names = ("name", "what", "fault", "mend", "codes", "error")
    return {name: getattr(recipe, name) for name in names}


def _description(stage: Stage, recipe: Recipe | None) -> Mapping[str, object]:
    """The servers, for programs."""
    return {
        "url": stage.url,
        "issuer": stage.authorization_server.issuer,
        "token_endpoint": stage.authorization_server.token_endpoint,
        "clients": [
            {
                "client_id": client.client_id,
                "client_secret_file": str(client.secret_file),
                "private_key_file": str(client.key_file),
            }
            for client in stage.clients
        ],
        "told": stage.told,
        "mend": stage.mend,
        "trouble": None if recipe is None else _told_of(recipe),
    }


class _Board(Page):
    """The servers, for a person: what a client has to be told, and what it then does."""

    def introduce(self, stage: Stage, recipe: Recipe | None) -> None:
        """What is here."""
        self.title("A protected MCP server, and the authorization server in front of it")
        if recipe is not None:
            self._line()
            self.fact("trouble", recipe.name)
            self.fact("what is wrong", recipe.what)
            self.fact("whose fault", recipe.fault)
            self.fact("what mends it", recipe.mend)
        self._line()
        for name, value in stage.told.items():
            self.fact(name.replace("_", " "), printable(str(value)))
        if recipe is None:
            self.fact("or private key file", stage.client.key_file)
        for client in stage.clients[1:]:
            self._line()
            self.fact("client id", printable(client.client_id))
            self.fact("client secret file", client.secret_file)
            self.fact("or private key file", client.key_file)
        self._line()
        self.command(_command(stage))
        self._line()

    def request(self, server: str, record: RequestRecord) -> None:
        """One request, and what became of it."""
        asked, status = f"{server:<7} {record.method:<5}{quote(record.path):<42}", f"{record.status or '-':<5}"
        remark, *rest = self._behind(f"{asked}{status}", _remark(record))
        colour = "yellow" if record.status is None or record.status >= _FIRST_REFUSAL else "green"
        self._line((asked, "dim"), (status, colour), (remark, "dim"), indent="")
        for line in rest:
            self._line((line, "dim"), indent="")


def _command(stage: Stage) -> Sequence[str]:
    """How to be the client: the command, and its options."""
    options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in stage.told.items() if name != "url"]
    return [shlex.join(part) for part in (("gatepass", "tools", stage.url), *options)]


def _remark(record: RequestRecord) -> str:
    """Why it was refused, or what it was for."""
    if record.error is not None:
        said = f"{record.error}: {record.error_description}" if record.error_description else record.error
    elif record.status is None:
        said = "was never answered"
    elif record.grant_type is not None:
        said = f"{record.grant_type} {record.scope or ''}"
    else:
        said = f"{record.header('mcp-method') or ''} {record.header('mcp-name') or ''}"
    return " ".join(printable(said).split())
