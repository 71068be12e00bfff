"""What a tool's result looks like on stdout, and what only a note tells of."""

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

from gatepass.cli.call import _write
from gatepass.cli.voice import Voice

TEXT = TextContent(type="text", text="hello\n")
IMAGE = ImageContent(type="image", data="aGk=", mime_type="image/png")
AUDIO = AudioContent(type="audio", data="aGk=", mime_type="audio/wav")
LINK = ResourceLink(type="resource_link", name="report", uri="https://example.com/report")
DOCUMENT = EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///a", text="inside"))
BLOB = EmbeddedResource(type="resource", resource=BlobResourceContents(uri="file:///b", blob="aGk="))


class TestAResult:
    @pytest.mark.parametrize(
        ("content", "structured", "out"),
        [
            ([TEXT], {"result": "hello"}, "hello\n"),
            ([TEXT, TEXT], None, "hello\nhello\n"),
            ([], {"n": 1}, '{\n  "n": 1\n}\n'),
            ([], None, ""),
            ([LINK, DOCUMENT, BLOB], None, "https://example.com/report\ninside\nfile:///b\n"),
            ([TextContent(type="text", text="a\x1b[2Jb")], None, "a\x1b[2Jb\n"),
        ],
    )
    def test_what_can_be_read_is_printed(self, capsys, content, structured, out):
        _write(CallToolResult(content=content, structured_content=structured), Voice())
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == (out, "")

    def test_pictures_and_sounds_are_told_of(self, capsys):
        _write(CallToolResult(content=[TEXT, IMAGE, AUDIO]), Voice())
        shown = capsys.readouterr()
        assert shown.out == "hello\n"
        assert "image data (image/png), which --json shows" in shown.err
        assert "audio data (audio/wav)" in shown.err
        _write(CallToolResult(content=[IMAGE]), Voice(quiet=True))
        assert capsys.readouterr().err == ""

    def test_a_terminal_is_not_steered(self, capsys, monkeypatch):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        _write(CallToolResult(content=[TextContent(type="text", text="a\x1b[2Jb")]), Voice())
        assert capsys.readouterr().out == "a\ufffd[2Jb\n"
