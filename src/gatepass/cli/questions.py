"""What `gatepass init` asks a person at a terminal. No answer is a secret: each says where one stands."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from gatepass.cli.layers import as_options, settle
from gatepass.cli.reference import PLATFORMS, Reference
from gatepass.cli.width import fitting

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepass.cli.layers import Layer
    from gatepass.cli.survey import Survey

__all__ = ["ask", "confirm"]

_SECRET_METHODS = frozenset({"client_secret_basic", "client_secret_post"})
_KEY_METHOD = "private_key_jwt"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ask(name: str, said: Layer, found: Survey) -> Layer:
    """What is said by now, and what the person answers.

    Raises:
        KeyboardInterrupt: the person has had enough.
    """
    return settle(said, as_options(_answers(name, said, found)))


def confirm(text: str) -> bool:
    """Whether the person says yes; not if they only press Enter.

    Raises:
        KeyboardInterrupt: the person has had enough.
    """
    return _prompt(f"{text} yes or no", default="no", fits=("yes", "y", "no", "n").__contains__) in ("yes", "y")


def _answers(name: str, said: Layer, found: Survey) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    proven = {
        "client_secret_from",
        "private_key_from",
        "assertion_from",
        "workload",
        "auth_method",
    } & said.values.keys()
    choice = None if proven else _choose(found)
    if "client_id" not in said.values and choice is not _platform and "workload" not in said.values:
        answers["client_id"] = _prompt("Client id, as registered there")
    return {**answers, **(choice(name) if choice else {})}


def _choose(found: Survey) -> Callable[[str], dict[str, Any]]:
    """How the client proves itself, of the ways that its server offers."""
    offered = set(found.methods or (*_SECRET_METHODS, _KEY_METHOD))
    ways: list[tuple[str, Callable[[str], dict[str, Any]]]] = []
    if offered & _SECRET_METHODS:
        ways += [
            ("a client secret, in an environment variable", _variable),
            ("a client secret, in a file", _secret_file),
            ("a client secret, in the keyring of this system", _keyring),
        ]
    if _KEY_METHOD in offered:
        ways.append(("a private key, in a file", _key_file))
    ways.append(("no secret: a platform vouches for the program", _platform))
    sys.stderr.write("How does the program prove who it is?\n")
    sys.stderr.writelines(f"  {number}  {text}\n" for number, (text, _) in enumerate(ways, 1))
    numbers = [str(number) for number in range(1, len(ways) + 1)]
    return ways[int(_prompt("Which", default="1", fits=numbers.__contains__)) - 1][1]


def _variable(name: str) -> dict[str, Any]:
    default = f"{re.sub('[^A-Z0-9]', '_', name.upper())}_CLIENT_SECRET"
    default = default if _VARIABLE.fullmatch(default) else f"GATEPASS_{default}"
    variable = _prompt("Name of the variable", default=default, fits=lambda text: bool(_VARIABLE.fullmatch(text)))
    return {"client_secret_from": Reference("env", (variable,))}


def _secret_file(name: str) -> dict[str, Any]:
    return {"client_secret_from": Reference("file", (_prompt("Path of the file", default=f"{name}.secret"),))}


def _keyring(name: str) -> dict[str, Any]:
    words = _prompt("Service in the keyring", default="gatepass"), _prompt("User name there", default=name)
    sys.stderr.write(f"If it is not there yet: keyring set {words[0]} {words[1]}\n")
    return {"client_secret_from": Reference("keyring", words)}


def _key_file(name: str) -> dict[str, Any]:
    return {"private_key_from": Reference("file", (_prompt("Path of the file", default=f"{name}.pem"),))}


def _platform(name: str) -> dict[str, Any]:
    sys.stderr.write(fitting(f"Platforms: {', '.join(PLATFORMS)}\n", sys.stderr))
    platform = _prompt("Platform", default="ambient", fits=PLATFORMS.__contains__)
    return {"workload": Reference("platform", (platform,)), "subject": _prompt("Name for this workload", default=name)}


def _prompt(text: str, *, default: str | None = None, fits: Callable[[str], bool] = bool) -> str:
    """Ask until the answer fits.

    Raises:
        KeyboardInterrupt: the person has had enough, and ended the input.
    """
    while True:
        sys.stderr.write(f"{text} [{default}]: " if default else f"{text}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt
        answer = line.strip() or default or ""
        if fits(answer):
            return answer
