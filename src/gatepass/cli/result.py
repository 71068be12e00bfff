"""What a tool answers, on stdout: texts as they are, links by their addresses, and bytes where the user wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.cli.exits import UsageError
from gatepass.cli.saved import UNKNOWN, piece_of
from gatepass.cli.screen import write_bytes, write_json, write_text
from gatepass.cli.voice import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_types import CallToolResult, ContentBlock

    from gatepass.cli.saved import Folder, Piece
    from gatepass.cli.voice import Voice

__all__ = ["save_pieces", "texts", "write_only_piece", "write_result"]

_KINDS = {"image": "a picture", "audio": "a sound", "resource": "a file"}


def write_result(result: CallToolResult, folder: Folder | None, voice: Voice) -> None:
    """A result for people and for pipes: its parts in their order.

    Args:
        result: what the tool answered.
        folder: where bytes go; where they went is printed. Without one, a note tells of them.
        voice: how loud the command is.
    """
    if not result.content and result.structured_content is not None:
        write_json(result.structured_content)
    for block in result.content:
        piece = piece_of(block)
        if piece is not None and folder is not None:
            write_text(_save(piece, folder, voice))
            continue
        text = _text(block)
        if text is not None:
            write_text(text)
        if piece is not None:
            note(voice, f"The result holds {_described(block, piece)}: --save DIR saves it, and --json shows it.")


def save_pieces(result: CallToolResult, folder: Folder | None, voice: Voice) -> None:
    """Save what bytes are in a result; notes tell where."""
    for block in result.content:
        piece = piece_of(block)
        if piece is not None and folder is not None:
            note(voice, f"{_save(piece, folder, voice)} holds {_described(block, piece)}.")


def write_only_piece(result: CallToolResult, voice: Voice) -> None:
    """The bytes of a result that has only one piece of them, on stdout; its texts become notes.

    Raises:
        UsageError: it has none, or several.
    """
    pieces = [piece for block in result.content if (piece := piece_of(block)) is not None]
    if len(pieces) != 1:
        msg = f"--save - takes a result with one picture, sound or file, and this one has {len(pieces)}: --save DIR"
        raise UsageError(msg)
    for block in result.content:
        if piece_of(block) is None and (text := _text(block)) is not None:
            note(voice, text)
    write_bytes(pieces[0].data)


def texts(content: Sequence[ContentBlock]) -> list[str]:
    """What of a result can be read."""
    return [text for block in content if (text := _text(block)) is not None]


def _text(block: ContentBlock) -> str | None:
    """A text, the text in a resource, or the address of a resource."""
    match block.type:
        case "text":
            return block.text
        case "resource":
            return getattr(block.resource, "text", block.resource.uri)
        case "resource_link":
            return block.uri
        case _:
            return None


def _save(piece: Piece, folder: Folder, voice: Voice) -> str:
    path = str(folder.save(piece))
    if path.endswith(f".{UNKNOWN}"):
        declared = piece.declared or "nothing in particular"
        note(voice, f"{path}: the server calls it {declared}, which it is not, or which is not known here.")
    return path


def _described(block: ContentBlock, piece: Piece) -> str:
    return f"{_KINDS[block.type]} ({piece.declared or 'of no declared type'})"
