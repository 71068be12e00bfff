"""The gallery: broken servers by name, each with one trouble that real servers have.

    with gallery.open("issuer-with-trailing-slash") as stage:
        ...                                   # let your client loose on stage.url, with what stage.told says

`RECIPES` has them all. From a shell: ``gatepass testserver --trouble NAME``.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gatepass.testing.gallery import client, discovery, network, resource, token
from gatepass.testing.gallery.recipe import Fault, Recipe
from gatepass.testing.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["RECIPES", "Fault", "Recipe", "find", "open", "staged"]

RECIPES: tuple[Recipe, ...] = (
    *network.RECIPES,
    *discovery.RECIPES,
    *client.RECIPES,
    *token.RECIPES,
    *resource.RECIPES,
)
"""In the order in which a client comes upon them."""


def find(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        KeyError: there is none.
    """
    return {recipe.name: recipe for recipe in RECIPES}[name]


@contextmanager
def open(name: str | None = None) -> Generator[Stage]:  # noqa: A001 - it reads as gallery.open(...)
    """The broken servers of that name, running, and their client; in a directory that goes with them.

    Args:
        name: the name of a recipe; None: all is well.

    Raises:
        KeyError: there is no such recipe.
    """
    with TemporaryDirectory(prefix="gatepass-") as directory, staged(name, Path(directory)) as stage:
        yield stage


def staged(
    name: str | None,
    directory: Path,
    *,
    clients: tuple[str, ...] = ("ci-bot",),
    port: int = 0,
    issuer_port: int = 0,
    token_lifetime_s: float = 300.0,
) -> Stage:
    """The same, not started yet, and the way you want it; see `Stage` for the other arguments.

    Raises:
        KeyError: there is no such recipe.
        OSError: a port is not to be had.
    """
    recipe = None if name is None else find(name)
    tls = recipe.tls(directory) if recipe is not None and recipe.tls is not None else None
    stage = Stage(
        directory, clients=clients, port=port, issuer_port=issuer_port, token_lifetime_s=token_lifetime_s, tls=tls
    )
    if recipe is not None:
        recipe.set_up(stage)
    return stage
