"""`gatepass init`: looks at a server, asks for what it can't find out, and writes the entry."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from gatepass.cli.access import Access, Way
from gatepass.cli.configuration.document import is_name
from gatepass.cli.configuration.doubts import doubts
from gatepass.cli.configuration.place import FILE_NAME, ConfigFile, absolute, named_file, usual_places
from gatepass.cli.configuration.problem import refuse
from gatepass.cli.configuration.trust import trust
from gatepass.cli.configuration.writer import entry_text, with_entry
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import Who  # noqa: TC001 - typer reads the annotations
from gatepass.cli.layers import as_options, environment, options, settle
from gatepass.cli.questions import ask
from gatepass.cli.spinner import spinning
from gatepass.cli.voice import Voice, note
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from gatepass.cli.layers import Layer
    from gatepass.cli.survey import Survey

__all__ = ["init"]

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MODE = 0o666  # what the umask leaves of it
_GRANT, _WORKLOAD_GRANT = "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SAYS_NOTHING = frozenset({"www", "mcp", "api"})


def init(
    url: Annotated[str, typer.Argument(metavar="URL", help="The URL of the MCP server.")],
    who: Who,
    way: Way,
    voice: Voice,
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="What to call it; else a part of its host's name.")
    ] = None,
    user: Annotated[bool, typer.Option("--user", help="Write it for all projects, into your own folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an entry of the same name.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: all that is needed is in the options.")
    ] = False,
) -> None:
    """Look at a server, and write what gatepass needs to know of it into gatepass.toml.

    What can't be found out is asked for on a terminal; elsewhere it comes from options. The entry goes into the file of
    the project, which is made in this folder if there is none. Secrets stay where they are: it says where they stand.

    \b
    $ gatepass init https://mcp.example.com/mcp reports
    $ gatepass init https://mcp.example.com/mcp reports --yes \\
          --client-id ci-bot --client-secret-env CI_BOT_SECRET
    """
    name = name or _name_of(url)
    if not is_name(name):
        msg = "NAME is made of letters, digits, - and _, and has 64 of them at the most."
        raise UsageError(msg)
    file = _file(way.config, user=user)
    _check_free(file, name, force=force)
    said = settle(options(who, way), environment(os.environ))
    found = _look(url, said, voice)
    _report(url, found, voice)
    if sys.stdin.isatty() and sys.stderr.isatty() and not yes:
        said = ask(name, said, found)
    known: dict[str, Any] = {"issuer": found.issuer, **({"dpop": True} if found.dpop_required else {})}
    said = settle(said, as_options(known))
    Access.described(url, said)
    entry = entry_text(name, url, said.values, file.path.parent)
    _write(file, name, entry)
    sys.stdout.write(entry)
    for text in doubts(said).values():
        note(voice, f"{text[0].upper()}{text[1:]}")
    note(voice, f"This stands in {file.path} now. See whether it works: gatepass tools {name}")


def _name_of(url: str) -> str:
    """The first part of the host's name that says something."""
    parts = (urlsplit(url).hostname or "").split(".") if "://" in url else []
    telling = [part for part in parts if part not in _SAYS_NOTHING and not part.isdigit()]
    return telling[0] if telling and is_name(telling[0]) else "server"


def _file(named: Path | None, *, user: bool) -> ConfigFile:
    """The file to write into, whether it is there or not."""
    if user and named:
        msg = "--user and --config contradict each other: leave one out."
        raise UsageError(msg)
    path = None if user else named_file(named)
    if path is not None:
        return ConfigFile.at(path, "named")
    places = usual_places()
    if user:
        return next(file for file in places if file.kind == "user")
    known = (file for file in places if file.kind == "project" and file.content is not None)
    return next(known, None) or ConfigFile(absolute(Path(FILE_NAME)), "project", None)


def _check_free(file: ConfigFile, name: str, *, force: bool) -> None:
    refuse(file.document.problems)
    if name in file.document.servers and not force:
        msg = f"{file.path} has a server {name} already. Give another name, or --force to replace it."
        raise UsageError(msg)


def _look(url: str, said: Layer, voice: Voice) -> Survey:
    from gatepass.cli.survey import survey  # what asks is dear to import

    with spinning(f"Asking {url} ...", voice):
        return survey(url, said)


def _report(url: str, found: Survey, voice: Voice) -> None:
    """What was found, for whoever reads along."""
    if found.is_open:
        note(voice, f"{url} lets requests in without a token.")
    note(voice, f"Tokens for it come from {found.issuer}.")
    if found.methods:
        note(voice, f"Clients prove themselves there by: {', '.join(found.methods)}.")
    if found.scopes:
        note(voice, f"It asks for the scopes: {' '.join(found.scopes)}.")
    if found.grants and not {_GRANT, _WORKLOAD_GRANT} & set(found.grants):
        note(voice, f"It lists neither {_GRANT} nor jwt-bearer among its grants: programs may not be let in.")


def _write(file: ConfigFile, name: str, entry: str) -> None:
    """Put the entry into the file. What was trusted before is trusted still, and so is what is new."""
    text = with_entry((file.content or b"").decode(), name, entry)
    trusted = file.content is None or file.trusted
    try:
        _replace(file.path.resolve(), text)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
    else:
        written = replace(file, content=text.encode())
        if file.kind == "project" and trusted:
            trust(file.path, written.digest or "")
        return
    msg = f"{file.path} can't be written: {reason}."
    raise ConfigurationError(msg, code="config_unwritable")


def _replace(path: Path, text: str) -> None:
    """Write it all or not at all; a file that was there keeps its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(draft, _CREATE, _MODE), "w", encoding="utf-8") as file:
            if path.exists():
                draft.chmod(stat.S_IMODE(path.stat().st_mode))
            file.write(text)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
