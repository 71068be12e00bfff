"""Takes down what a call depended on, so that `gatepass.cli.quick` can answer the next one."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gatepass.cli.configuration.place import ConfigFile
from gatepass.cli.configuration.trust import trust_list
from gatepass.cli.layers import KINDS, variable
from gatepass.cli.quick import shortcut_path
from gatepass.lifecycle.policy import Policy

if TYPE_CHECKING:
    from gatepass.cli.access import Access
    from gatepass.lifecycle.record import TokenRecord

__all__ = ["take_down"]

_PLACES = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
_SECRETS = ("GATEPASS_CLIENT_SECRET",)
_MOST = 200


def take_down(form: str, access: Access, record: TokenRecord, min_ttl_s: float | None) -> None:
    """Keep the way from this program's arguments to that record, if there is one that is short and sure.

    A token that is bound to something is not handed out by itself, one whose life is unknown may end at any moment, and
    one that no file keeps can't be found. What can't be written is left: it only saves time.

    Args:
        form: the command: what is printed of the token.
        access: the way in that it was had by.
        record: the token.
        min_ttl_s: how long it had to live from then on, in seconds.
    """
    arguments = sys.argv[1:]
    way = access.said.way
    bound = way.dpop or way.cert_file is not None
    if arguments[:1] != [form] or bound or record.lifetime_s is None or access.store is None:
        return
    places = access.config.places if access.config else ()
    if any(place.kind == "project" and place.content is not None for place in places):
        places = (*places, ConfigFile.at(trust_list(), "user"))
    shortcut = {
        "variables": {name: os.environ.get(name) for name in (*map(variable, KINDS), *_PLACES)},
        "secrets": {name: bool(os.environ.get(name)) for name in _SECRETS},
        "files": {str(place.path): place.digest for place in places},
        "record": str(access.store.directory / f"{access.auth._source.shelf.names[0]}.record"),  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        "same": {"issuer": record.issuer, "resource": record.resource, "key_thumbprint": None},
        "fresh_share": Policy().renew_from,
        "least_s": min_ttl_s or 0,
        "form": form,
    }
    text = json.dumps(shortcut, separators=(",", ":"))  # which takes a path that is no UTF-8, and gives it back
    with suppress(OSError, KeyError):
        _write(Path(shortcut_path(arguments)), text.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
    others = [each for each in path.parent.iterdir() if each != path]
    for each in others if len(others) > _MOST else ():
        each.unlink(missing_ok=True)
