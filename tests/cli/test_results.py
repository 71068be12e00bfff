"""What a tool's result looks like on stdout, what is saved of it, and what only a note tells of."""

from __future__ import annotations

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from gatepass.cli.exits import UsageError
from gatepass.cli.result import save_pieces, write_only_piece, write_result
from gatepass.cli.saved import Folder
from gatepass.cli.voice import Voice

TEXT = TextContent(text="hello\n")
IMAGE = ImageContent(data="iVBORw0KGgo=", mime_type="image/png")
AUDIO = AudioContent(data="UklGRgAAAABXQVZF", mime_type="audio/wav")
LINK = ResourceLink(name="report", uri="https://example.com/report")
DOCUMENT = EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="inside"))
BLOB = EmbeddedResource(resource=BlobResourceContents(uri="file:///b", blob="aGk="))


class TestAResult:
    @pytest.mark.parametrize(
        ("content", "structured", "out"),
        [
            ([TEXT], {"result": "hello"}, "hello\n"),
            ([TEXT, TEXT], None, "hello\nhello\n"),
            ([TextContent(text="no break at the end")], None, "no break at the end\n"),
            ([TextContent(text="breaks\n\n\n")], None, "breaks\n\n\n"),
            ([], {"n": 1}, '{\n  "n": 1\n}\n'),
            ([], None, ""),
            ([LINK, DOCUMENT], None, "https://example.com/report\ninside\n"),
            ([TextContent(text="a\x1b[2Jb\r\n")], None, "a\x1b[2Jb\r\n"),
        ],
    )
    def test_what_can_be_read_is_printed_as_it_is(self, capsys, content, structured, out):
        write_result(CallToolResult(content=content, structured_content=structured), None, Voice())
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == (out, "")

    def test_what_can_not_be_read_is_told_of(self, capsys):
        write_result(CallToolResult(content=[TEXT, IMAGE, AUDIO, BLOB]), None, Voice())
        shown = capsys.readouterr()
        assert shown.out == "hello\nfile:///b\n"
        assert [line.removeprefix("gatepass: note: The result holds ") for line in shown.err.splitlines()] == [
            "a picture (image/png): --save DIR saves it, and --json shows it.",
            "a sound (audio/wav): --save DIR saves it, and --json shows it.",
            "a file (of no declared type): --save DIR saves it, and --json shows it.",
        ]
        write_result(CallToolResult(content=[IMAGE]), None, Voice(quiet=True))
        assert capsys.readouterr().err == ""

    def test_a_terminal_is_not_steered(self, capsys, monkeypatch):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        write_result(CallToolResult(content=[TextContent(text="a\x1b[2Jb")]), None, Voice())
        assert capsys.readouterr().out == "a\ufffd[2Jb\n"


class TestSavedPieces:
    def test_each_is_printed_by_its_path_in_its_place(self, capsys, tmp_path):
        write_result(CallToolResult(content=[IMAGE, TEXT, BLOB]), Folder(tmp_path, "tool"), Voice())
        shown = capsys.readouterr()
        assert shown.out == f"{tmp_path}/tool-1.png\nhello\n{tmp_path}/tool-2.bin\n"
        assert f"{tmp_path}/tool-2.bin: the server calls it nothing in particular" in shown.err

    def test_beside_json_only_notes_tell_where(self, capsys, tmp_path):
        save_pieces(CallToolResult(content=[TEXT, IMAGE]), Folder(tmp_path, "tool"), Voice())
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == (
            "",
            f"gatepass: note: {tmp_path}/tool-1.png holds a picture (image/png).\n",
        )
        save_pieces(CallToolResult(content=[IMAGE]), None, Voice())
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("several", [[], [TEXT, LINK], [IMAGE, AUDIO]])
    def test_only_one_goes_to_stdout(self, several):
        with pytest.raises(UsageError, match=f"this one has {sum(each in (IMAGE, AUDIO) for each in several)}"):
            write_only_piece(CallToolResult(content=several), Voice())
