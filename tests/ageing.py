"""Tokens that grow older without anybody waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatepass.lifecycle.record import TokenRecord, decode, encode

if TYPE_CHECKING:
    from gatepass import FileStore


def grow_older(store: FileStore, seconds: float) -> None:
    """Let the tokens in a store have been obtained so much earlier."""
    for file in store.directory.glob("token.*.record"):
        name = file.name.removesuffix(".record")
        entry = store.read(name)
        assert entry is not None
        record = decode(entry.value, TokenRecord)
        older = msgspec.structs.replace(record, obtained_at=record.obtained_at - seconds)
        assert store.write(name, encode(older), expect=entry.version)
