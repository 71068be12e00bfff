"""The gallery: gatepass is let loose on every one of its servers, and what happens is what the gallery says.

What a client is told goes the way of the command's options, so their names are put to the test, too.
"""

from __future__ import annotations

import asyncio
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import pytest

import gatepass
from gatepass.cli.access import Access
from gatepass.cli.identity import Who
from gatepass.cli.session import session
from gatepass.cli.way import Way
from gatepass.testing import gallery

PAGE = Path(__file__).parents[2] / "docs" / "gallery.md"
FIVE = {"result": 5}
REPEATED = {"allow_metadata_origin"}
AT_ONCE = 8
"""Most of the time goes by while a client waits to try again."""


def access(told) -> Access:
    """The way in of somebody who was told so."""
    said = {name: [value] if name in REPEATED else value for name, value in told.items()}
    url = said.pop("url")
    who, way = (
        kind(**{field.name: said.pop(field.name) for field in fields(kind) if field.name in said})
        for kind in (Who, Way)
    )
    assert said == {}, "there is no such option"
    return replace(Access.to(url, who, way), timeout_s=None)  # the session's own would be up before the token's


async def five(way):
    async with session(way) as mcp:
        return (await mcp.call_tool("add", {"a": 2, "b": 3})).structured_content


def outcome(told):
    """What a call comes to: the tool's result, or the error."""
    try:
        return asyncio.run(five(access({**told, "no_store": True})))
    except gatepass.GatepassError as error:
        return error


def visit(name):
    """What a client comes to with what it is told; and with what mends it, if it can do something."""
    with gallery.open(name) as stage:
        return outcome(stage.told), None if stage.mend is None else outcome(stage.mended)


@pytest.fixture(scope="module")
def visits(request):
    """Visits to the servers that tests are about, by name."""
    callspecs = (getattr(item, "callspec", None) for item in request.session.items)
    names = {spec.params["recipe"].name for spec in callspecs if spec is not None and "recipe" in spec.params}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(visit, name) for name in names}


@pytest.mark.parametrize("recipe", gallery.RECIPES, ids=lambda recipe: recipe.name)
class TestEveryOne:
    def test_a_call_ends_in_what_the_gallery_says(self, recipe, visits):
        came, _ = visits[recipe.name].result()
        if not recipe.codes:
            assert came == FIVE
            return
        assert isinstance(came, gatepass.GatepassError)
        assert came.code in recipe.codes
        assert came.error == recipe.error

    def test_what_mends_it_mends_it(self, recipe, visits):
        _, came = visits[recipe.name].result()
        assert came in (None, FIVE)


class TestTheGallery:
    def test_each_has_a_name_of_its_own_and_says_what_it_is(self):
        names = [recipe.name for recipe in gallery.RECIPES]
        assert len(set(names)) == len(names) >= 20
        for recipe in gallery.RECIPES:
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", recipe.name)
            assert recipe.what.endswith(".")
            assert recipe.mend.endswith((".", "?"))
            assert "\n" not in recipe.what + recipe.mend

    def test_it_has_troubles_of_every_kind_and_some_that_are_none_for_gatepass(self):
        assert {recipe.fault for recipe in gallery.RECIPES} == {"server", "configuration", "network"}
        assert any(not recipe.codes for recipe in gallery.RECIPES)

    def test_a_name_that_it_does_not_have_is_a_key_error(self):
        with pytest.raises(KeyError, match="no-such-trouble"), gallery.open("no-such-trouble"):
            pass

    def test_without_a_name_all_is_well(self):
        with gallery.open() as stage:
            assert outcome(stage.told) == FIVE

    def test_a_client_may_use_its_key_as_well(self):
        with gallery.open() as stage:
            stage.tell_key()
            assert outcome(stage.told) == FIVE

    def test_secrets_and_keys_are_for_their_owner_only_and_gone_at_the_end(self):
        with gallery.open() as stage:
            for file in (stage.client.secret_file, stage.client.key_file):
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(stage.directory.stat().st_mode) == 0o700
        assert not stage.directory.exists()

    def test_the_servers_can_be_had_as_one_likes_them(self, tmp_path):
        with gallery.open() as stage:
            port, issuer_port = stage.mcp_server.port, stage.authorization_server.port
        stage = gallery.staged(
            "wrong-secret",
            tmp_path,
            clients=("https://client.example/id", "another"),
            port=port,
            issuer_port=issuer_port,
            token_lifetime_s=5,
        )
        assert stage.url == f"http://127.0.0.1:{port}/mcp"
        assert stage.told["issuer"] == f"http://127.0.0.1:{issuer_port}"
        assert stage.authorization_server.token_lifetime_s == 5
        assert [client.client_id for client in stage.clients] == ["https://client.example/id", "another"]
        assert {file.parent for client in stage.clients for file in (client.secret_file, client.key_file)} == {tmp_path}

    def test_a_port_that_somebody_else_has_is_an_error(self, tmp_path):
        with gallery.open() as stage, pytest.raises(OSError, match="in use"):
            gallery.staged(None, tmp_path, port=stage.mcp_server.port)

    def test_if_one_server_does_not_start_the_other_does_not_stay(self, tmp_path):
        stage = gallery.staged(None, tmp_path)
        with stage.mcp_server:
            with pytest.raises(RuntimeError, match="running already"), stage:
                pass
            with stage.authorization_server:
                pass


def row(recipe, stage):
    """A recipe as the page has it."""
    said = " or ".join(f"`{code}`" for code in recipe.codes) or "nothing: it copes"
    refusal = f": `{recipe.error}`" if recipe.error and recipe.error not in recipe.codes else ""
    options = [name.replace("_", "-") for name in stage.mend or () if name != "url"]
    mend = recipe.mend + "".join(f" `--{option}`" for option in options)
    return f"| `{recipe.name}` | {recipe.fault} | {recipe.what} | {said}{refusal} | {mend} |"


def test_the_page_shows_the_whole_gallery_and_nothing_else(tmp_path):
    shown = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `[a-z0-9-]+` \| [a-z]+ \| ", line)]
    assert shown == [row(recipe, gallery.staged(recipe.name, tmp_path)) for recipe in gallery.RECIPES]
