"""Bytes that a server sends, as files of the user's: what they are called, and what they never do."""

from __future__ import annotations

import base64

import pytest
from canary import assert_hidden
from mcp_types import ImageContent

from gatepass.cli.exits import exit_of
from gatepass.cli.saved import Folder, Piece, extension_of, piece_of
from gatepass.errors import ConfigurationError, RemoteError

PNG = b"\x89PNG\r\n\x1a\n rest"


def piece(data=PNG, declared="image/png") -> Piece:
    return Piece(encoded=base64.b64encode(data).decode(), declared=declared)


class TestAnExtension:
    @pytest.mark.parametrize(
        ("declared", "data", "extension"),
        [
            ("image/png", PNG, "png"),
            ("IMAGE/PNG; charset=x", PNG, "png"),
            ("image/jpeg", b"\xff\xd8\xff\xe0", "jpg"),
            ("image/gif", b"GIF89a", "gif"),
            ("image/webp", b"RIFF\n\n\n\nWEBPVP8 ", "webp"),
            ("image/avif", b"\0\0\0\x1cftypavif", "avif"),
            ("image/svg+xml", b'<?xml version="1.0"?><svg/>', "svg"),
            ("image/svg+xml", b"\n<svg/>", "svg"),
            ("audio/wav", b"RIFF\0\0\0\0WAVEfmt ", "wav"),
            ("audio/mpeg", b"ID3\x04", "mp3"),
            ("audio/mpeg", b"\xff\xfb\x90", "mp3"),
            ("audio/ogg", b"OggS\0", "ogg"),
            ("audio/mp4", b"\0\0\0\x20ftypM4A ", "m4a"),
            ("application/pdf", b"%PDF-1.7", "pdf"),
            ("application/zip", b"PK\x03\x04", "zip"),
        ],
    )
    def test_it_is_that_of_the_declared_type_where_the_bytes_bear_it_out(self, declared, data, extension):
        assert extension_of(data, declared) == extension

    @pytest.mark.parametrize(
        ("declared", "data"),
        [
            ("image/png", b"<html>"),
            ("image/png", b""),
            ("image/jpeg", PNG),
            ("image/svg+xml", b"<html><svg/>"),
            ("audio/wav", b"RIFF\0\0\0\0AVI "),
            ("text/html", b"<html>"),
            ("application/x-sh", b"#!/bin/sh"),
            ("../../x", PNG),
            ("", PNG),
        ],
    )
    def test_all_else_may_be_anything(self, declared, data):
        assert extension_of(data, declared) == "bin"


class TestAFolder:
    @pytest.mark.parametrize(
        ("tool", "name"),
        [
            ("chart", "chart-1.png"),
            ("draw/chart", "draw-chart-1.png"),
            ("../../etc/passwd", "etc-passwd-1.png"),
            ("..", "result-1.png"),
            (".bashrc", "bashrc-1.png"),
            ("C:\\chart\0", "C-chart-1.png"),
            ("Übersicht", "bersicht-1.png"),
            ("x" * 300, "x" * 80 + "-1.png"),
        ],
    )
    def test_a_file_is_called_by_its_tool_and_stays_in_the_folder(self, tmp_path, tool, name):
        assert Folder(tmp_path, tool).save(piece()) == tmp_path / name
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_what_is_there_is_left_alone_even_if_it_is_a_link_to_nowhere(self, tmp_path):
        (tmp_path / "chart-1.png").write_text("mine")
        (tmp_path / "chart-2.png").symlink_to(tmp_path / "elsewhere")
        assert Folder(tmp_path, "chart").save(piece()) == tmp_path / "chart-3.png"
        assert (tmp_path / "chart-1.png").read_text() == "mine"
        assert not (tmp_path / "elsewhere").exists()

    def test_numbers_go_on_whatever_the_kind(self, tmp_path):
        folder = Folder(tmp_path, "chart")
        saved = [folder.save(each) for each in (piece(), piece(b"%PDF-1.7", "application/pdf"), piece())]
        assert [path.name for path in saved] == ["chart-1.png", "chart-2.pdf", "chart-3.png"]

    def test_it_is_made_with_the_folders_above_it(self, tmp_path):
        assert Folder(tmp_path / "a" / "b", "chart").save(piece()).read_bytes() == PNG

    def test_one_that_is_closed_is_known_beforehand(self, tmp_path, monkeypatch):
        monkeypatch.setattr("os.access", lambda *_: False)  # the system lets root in everywhere
        with pytest.raises(ConfigurationError, match="Permission denied"):
            Folder(tmp_path, "chart")

    def test_one_that_is_gone_when_it_is_needed_is_told_of(self, tmp_path):
        folder = Folder(tmp_path / "out", "chart")
        (tmp_path / "out").rmdir()
        with pytest.raises(ConfigurationError) as caught:
            folder.save(piece())
        assert "No such file or directory. Give --save another folder." in str(caught.value)


class TestAPiece:
    def test_what_is_not_in_base64_is_the_servers_fault_and_not_quoted(self):
        broken = piece_of(ImageContent(data="canary!", mime_type="image/png"))
        with pytest.raises(RemoteError) as caught:
            _ = broken.data
        assert exit_of(caught.value) == 5
        assert_hidden(caught.value, "canary")
