"""`gatepass config`: what is configured, what is wrong with it, and which files of projects are trusted."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gatepass.cli.access import Access
from gatepass.cli.configuration.document import KEYS, Server
from gatepass.cli.configuration.doubts import doubts
from gatepass.cli.configuration.place import FILE_NAME, Config, ConfigFile, read_config, usual_places
from gatepass.cli.configuration.problem import Problem, line_of
from gatepass.cli.configuration.trust import trust as keep_trust
from gatepass.cli.exits import Exit, UsageError, explain
from gatepass.cli.group import Group
from gatepass.cli.layers import environment, settle
from gatepass.cli.questions import confirm
from gatepass.cli.reference import Reference
from gatepass.cli.screen import write_json, write_table
from gatepass.cli.voice import Voice, note, printable, say
from gatepass.cli.way import server_names
from gatepass.cli.width import fitting, folded, width_of
from gatepass.errors import ConfigurationError, GatepassError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["config"]

_File = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=f"Look at this file only; else at {FILE_NAME} of project and user."),
]


def check(
    voice: Voice,
    *,
    config_file: _File = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: problems, notes and files.")] = False,
) -> None:
    """Say what is wrong in the configuration, all of it at once, and where.

    Nothing is sent, and no secret is read. Exit code 3 means that there is a problem; a note is none.

    \b
    $ gatepass config check
    $ gatepass config check --config deploy/gatepass.toml --json
    """
    found = _found(config_file)
    problems = [problem for file in found.files for problem in _problems(file)]
    notes = [each for file in found.files for each in _notes(file)]
    if as_json:
        files = [{"path": str(file.path), "kind": file.kind, "trusted": file.trusted} for file in found.files]
        write_json({"problems": [*map(_in_json, problems)], "notes": [*map(_in_json, notes)], "files": files})
    else:
        for problem in problems:
            sys.stdout.write(f"{fitting(_line_for_people(str(problem)), sys.stdout)}\n")
        for each in notes:
            note(voice, str(each))
        if not problems:
            paths = ", ".join(str(file.path) for file in found.files)
            note(voice, f"Nothing is wrong with {len(found.names)} servers in {paths}.")
    if problems:
        raise typer.Exit(Exit.CONFIGURATION)


def show(
    voice: Voice,
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One server; else all.", autocompletion=server_names)
    ] = None,
    config_file: _File = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the servers that are configured; or all that is said of one, and where each value comes from.

    No secret is shown, only where it stands. A file that is not trusted is shown as well.

    \b
    $ gatepass config show
    $ gatepass config show reports
    """
    found = _found(config_file)
    if name is None:
        found.known()
        rows = [(server.name, server.url, str(file.path), file.trusted) for file, server in _nearest(found)]
        if as_json:
            write_json([dict(zip(("name", "url", "file", "trusted"), row, strict=True)) for row in rows])
        else:
            heads = ("server", "url", "file")
            write_table(heads, [(*row[:2], row[2] if row[3] else f"{row[2]}, not trusted") for row in rows])
        return
    to_be_shown = Config(tuple(replace(place, kind="named") for place in found.places))  # which needs no trust
    server = to_be_shown.server(name)
    file = next(file for file, each in _nearest(found) if each.name == name)
    if not file.trusted:
        note(voice, f"{file.path} is not trusted yet.")
    values = [("url", server.url, _place(file, server, "url")), *_values(file, server)]
    if as_json:
        write_json({key: {"value": value, "from": place} for key, value, place in values})
    else:
        write_table(("key", "value", "from"), [(key, _shown(value), place) for key, value, place in values])


def trust(
    voice: Voice,
    *,
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help=f"The file; else the {FILE_NAME} of this project.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Trust it without a question.")] = False,
) -> None:
    """Trust the gatepass.toml of a project, as it is now.

    It says which secrets of yours go where, and may name commands that give them. So all that it says is shown first,
    and on a terminal you are asked; elsewhere, --yes is needed. When the file changes, look again. Your own file needs
    no trust, and neither does one that --config or GATEPASS_CONFIG names.

    \b
    $ gatepass config show
    $ gatepass config trust
    """
    file = _of_a_project(path)
    if not (yes and voice.quiet):
        width = width_of(sys.stderr)
        lines = (line for server in file.document.servers.values() for line in _all_of(server))
        sys.stderr.writelines(f"{each}\n" for line in lines for each in folded(line, width, hang="      "))
    if not (yes or _agreed(file)):
        say(f"{file.path} is not trusted.")
        raise typer.Exit(Exit.CONFIGURATION)
    keep_trust(file.path, file.digest or "")
    note(voice, f"{file.path} is trusted, as it is now.")


config = Group(
    help=(
        "Show, check and trust what is configured.\n\n"
        "\b\n"
        "$ gatepass config check\n"
        "$ gatepass config show reports\n"
        "$ gatepass config trust"
    ),
    commands=(check, show, trust),
)


def _found(named: Path | None) -> Config:
    found = read_config(named)
    if not found.files:
        looked = ", ".join(str(place.path) for place in (found.places[0], found.places[-1]))
        msg = f"There is no configuration: looked for {looked} and between. gatepass init URL writes one."
        raise ConfigurationError(msg, code="config_unreadable")
    return found


def _of_a_project(path: Path | None) -> ConfigFile:
    if path is not None:
        return replace(read_config(path).files[0], kind="project")
    for file in usual_places():
        if file.kind == "project" and file.content is not None:
            return file
    msg = f"There is no {FILE_NAME} in this folder, or above it."
    raise ConfigurationError(msg, code="config_unreadable")


def _all_of(server: Server) -> Iterator[str]:
    """Each key that the file has for a server, a line each."""
    yield f"[servers.{server.name}]"
    values = {"url": server.url, **{key: server.layer.values.get(field) for key, field in KEYS.items()}}
    for key, value in values.items():
        if value is not None:
            yield f"  {key} = {_line_for_people(_shown(_whole(value)))}"


def _agreed(file: ConfigFile) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        msg = "Whether to trust it is asked on a terminal only. If you agree with it, give --yes."
        raise UsageError(msg)
    say(f"{file.path} says so.")
    return confirm("Trust it?")


def _problems(file: ConfigFile) -> Iterator[Problem]:
    """What is wrong in the text; and with each server whose text is right, what would not do when it is used."""
    yield from file.document.all_problems
    for server in file.document.servers.values():
        if server.problems:
            continue
        try:
            Access.described(server.url, settle(environment(os.environ), server.layer))
        except (GatepassError, UsageError) as problem:
            yield _placed(file, server, explain(problem).replace("\n", " "))


def _placed(file: ConfigFile, server: Server, said: str) -> Problem:
    """A problem at the key that it names first, if it names one."""
    first, _, rest = said.partition(" ")
    key = "url" if said.startswith("The URL ") else first.removeprefix("--").replace("_", "-")
    if key not in KEYS and key != "url":
        return Problem(path=file.path, line=_line(file, server), server=server.name, text=said)
    text = said if key == "url" else f"it {rest}"
    return Problem(path=file.path, line=_line(file, server, key), server=server.name, key=key, text=text)


def _notes(file: ConfigFile) -> Iterator[Problem]:
    if not file.trusted:
        yield Problem(path=file.path, text="it is not trusted yet: gatepass config trust.")
    keys = {field: key for key, field in KEYS.items()}
    for server in file.document.servers.values():
        for field, text in doubts(server.layer).items():
            line = _line(file, server, keys[field])
            yield Problem(path=file.path, line=line, server=server.name, key=keys[field], text=text)


def _line(file: ConfigFile, server: Server, key: str | None = None) -> int | None:
    text = (file.content or b"").decode()
    return line_of(text, server.name, key) or line_of(text, server.name)


def _nearest(found: Config) -> list[tuple[ConfigFile, Server]]:
    """Each server once, as the nearest file has it."""
    servers: dict[str, tuple[ConfigFile, Server]] = {}
    for file in found.files:
        for server in file.document.servers.values():
            servers.setdefault(server.name, (file, server))
    return list(servers.values())


def _values(file: ConfigFile, server: Server) -> list[tuple[str, Any, str]]:
    """Each key that has a value, the value, and the variable or the line where it stands."""
    above = environment(os.environ)
    said = settle(above, server.layer)

    def plain(field: str, value: object) -> object:
        return _plain(value) if file.trusted or field in above.values else _whole(value)

    given = [(key, field) for key, field in KEYS.items() if field in said.values]
    return [
        (key, plain(field, said.values[field]), above.named.get(field) or _place(file, server, key))
        for key, field in given
    ]


def _place(file: ConfigFile, server: Server, key: str) -> str:
    return f"{file.path}:{_line(file, server, key)}"


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Reference | Path) else value


def _whole(value: object) -> object:
    """With the arguments of a command: whoever is to trust it has to see them."""
    if isinstance(value, Reference) and value.kind == "command":
        return f"command:{shlex.join(value.words)}"
    return _plain(value)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(cast("list[str]", value)) if isinstance(value, list) else str(value)


def _line_for_people(text: str) -> str:
    return printable(text).replace("\n", " ")


def _in_json(problem: Problem) -> dict[str, Any]:
    return {
        "path": str(problem.path),
        "line": problem.line,
        "server": problem.server,
        "key": problem.key,
        "text": problem.text,
    }
