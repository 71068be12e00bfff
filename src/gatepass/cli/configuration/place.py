"""Where the configuration stands: in the project, then in the user's folder; or in the one file that is named.

    the folder of the project or one above it, up to the home folder   gatepass.toml     if it is trusted
    the user's configuration folder (~/.config on Linux)               gatepass/gatepass.toml

A project's file says where secrets go, and which commands give them. It comes along with code of somebody else's, so
what it says of a server counts once the user has said so (`trust`): a host that starts gatepass in whatever folder is
open must not be led elsewhere by a file in there. A file that is named by an option or a variable is trusted by that.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gatepass.cli.configuration.document import Document, Server, read_document
from gatepass.cli.configuration.problem import Problem, refuse
from gatepass.cli.configuration.trust import is_trusted
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FILE_NAME", "Config", "ConfigFile", "absolute", "named_file", "read_config", "usual_places"]

FILE_NAME = "gatepass.toml"
_VARIABLE = "GATEPASS_CONFIG"


@dataclass(frozen=True)
class ConfigFile:
    """A place where a configuration may stand, as it was when it was looked at.

    Attributes:
        path: the file.
        kind: how it was found: ``"named"``, ``"project"`` or ``"user"``.
        content: what it holds; None if there is no such file.
    """

    path: Path
    kind: Literal["named", "project", "user"]
    content: bytes | None

    @classmethod
    def at(cls, path: Path, kind: Literal["named", "project", "user"]) -> ConfigFile:
        """What stands there now.

        Raises:
            ConfigurationError: it can't be read (code ``config_unreadable``).
        """
        try:
            return cls(path, kind, path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return cls(path, kind, None)
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
        msg = f"{path} can't be read: {reason}. Check its permissions."
        raise ConfigurationError(msg, code="config_unreadable")

    @cached_property
    def document(self) -> Document:
        """What it says."""
        try:
            return read_document((self.content or b"").decode(), self.path)
        except UnicodeDecodeError:
            return Document(problems=(Problem(path=self.path, text="it is not UTF-8 text."),))

    @property
    def digest(self) -> str | None:
        """Tells one content from another; None if there is no file."""
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()

    @cached_property
    def trusted(self) -> bool:
        """Whether what it says counts."""
        return self.kind != "project" or is_trusted(self.path, self.digest)


@dataclass(frozen=True, slots=True)
class Config:
    """All that is configured.

    Attributes:
        places: where it was looked for, the nearest first.
    """

    places: tuple[ConfigFile, ...]

    @property
    def files(self) -> tuple[ConfigFile, ...]:
        """The files that are there."""
        return tuple(place for place in self.places if place.content is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all servers, each once."""
        return tuple(dict.fromkeys(name for file in self.files for name in file.document.servers))

    def known(self) -> tuple[str, ...]:
        """The names of all servers, for whoever wants to know them all.

        Raises:
            ConfigurationError: there is none, for the files are not what they should be (code ``config_invalid``).
        """
        if not self.names:
            refuse([problem for file in self.files for problem in file.document.problems])
        return self.names

    def server(self, name: str) -> Server:
        """What the nearest file says of that server.

        Raises:
            ConfigurationError: there is none of that name (code ``server_unknown``), what is said of it has problems
                (``config_invalid``), or is not trusted yet (``config_untrusted``).
        """
        for file in self.files:
            refuse([] if file.document.servers.get(name) else file.document.problems)
            server = file.document.servers.get(name)
            if server is None:
                continue
            if not file.trusted:
                raise _untrusted(file)
            refuse((*file.document.problems, *server.problems))
            return server
        raise _unknown(name, self)


def read_config(option: Path | None = None) -> Config:
    """Look for the configuration, and read it.

    Args:
        option: the one file to look at, if an option names one; else a variable may.

    Raises:
        ConfigurationError: a file can't be read or found, or the one that is named is not there (code
            ``config_unreadable``).
    """
    named = named_file(option)
    if named is None:
        return Config(usual_places())
    file = ConfigFile.at(named, "named")
    if file.content is None:
        msg = f"There is no {named}. {'--config' if option else _VARIABLE} names it."
        raise ConfigurationError(msg, code="config_unreadable")
    return Config((file,))


def named_file(option: Path | None = None) -> Path | None:
    """The one file that an option or else a variable names.

    Raises:
        ConfigurationError: there is no telling where that is (code ``config_unreadable``).
    """
    named = option or Path(os.environ.get(_VARIABLE) or "")
    return None if named == Path() else absolute(named)


def absolute(path: Path) -> Path:
    """The whole of a path, which may begin at the current folder.

    Raises:
        ConfigurationError: it does, and that folder is gone (code ``config_unreadable``).
    """
    try:
        return path.absolute()
    except OSError as problem:
        reason = problem.strerror
    msg = f"The current folder can't be used: {reason}. {path} begins there: go to another, or give the whole path."
    raise ConfigurationError(msg, code="config_unreadable")


def usual_places() -> tuple[ConfigFile, ...]:
    """Each place in the project, as far as the first file, and the one of the user."""
    import platformdirs

    user = platformdirs.user_config_path("gatepass") / FILE_NAME
    places: list[ConfigFile] = []
    for path in _in_the_project():
        if path == user:
            break
        places.append(ConfigFile.at(path, "project"))
        if places[-1].content is not None:
            break
    return (*places, ConfigFile.at(user, "user"))


def _in_the_project() -> Iterator[Path]:
    """From the current folder upwards, as far as the home folder or the root."""
    try:
        here, home = Path.cwd(), Path.home().resolve()
    except (OSError, RuntimeError):  # the folder was removed, or this user has no home
        return
    for folder in (here, *here.parents):
        yield folder / FILE_NAME
        if folder == home:
            return


def _untrusted(file: ConfigFile) -> ConfigurationError:
    msg = (
        f"{file.path} is not trusted yet, and it says where secrets of yours go.\n"
        "Read it. If you agree, run: gatepass config trust (or name it: --config, GATEPASS_CONFIG)"
    )
    return ConfigurationError(msg, code="config_untrusted")


def _unknown(name: str, config: Config) -> ConfigurationError:
    from difflib import get_close_matches

    close = get_close_matches(name, config.names, n=1)
    if close:
        hint = f"Did you mean {close[0]}?"
    elif config.names:
        hint = f"There are: {', '.join(config.names)}."
    else:
        hint = "gatepass init URL writes one."
    places = " or ".join(str(file.path) for file in config.files) or f"any {FILE_NAME}"
    msg = f"There is no server {name} in {places}. {hint} A URL starts with https://."
    return ConfigurationError(msg, code="server_unknown")
