"""An examination: the case as options describe it, the walk, and the report of it with all secrets masked."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import fields, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import httpx2

from gatepass.cli.access import Access
from gatepass.cli.configuration.document import is_name
from gatepass.cli.doctor.case import Case
from gatepass.cli.doctor.overhear import Mask, Overheard
from gatepass.cli.doctor.report import Report
from gatepass.cli.doctor.spelling import as_typed
from gatepass.cli.doctor.visit import tools_of
from gatepass.cli.doctor.walk import walk
from gatepass.cli.exits import UsageError
from gatepass.cli.identity import AuthMethod, Who
from gatepass.cli.layers import as_options, environment, options, settle
from gatepass.errors import GatepassError
from gatepass.protocol.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gatepass.cli.doctor.report import Step
    from gatepass.cli.way import Way
    from gatepass.core.http import HttpRequest

__all__ = ["Examination"]

_TIMEOUT_S = 10.0


class Examination:
    """The way in of one client to one server, looked at once.

    Args:
        where: the server's name in the configuration, or its URL.
        who: who the program is.
        way: where its token comes from.
        tell: hears what is asked, before it is.

    Raises:
        UsageError: options contradict each other, or one is missing.
        ConfigurationError: one does not fit.
    """

    def __init__(self, where: str, who: Who, way: Way, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._mask = Mask()
        self._taken: list[Step] = []
        unkept = replace(way, store=None, no_store=True)
        access = _anonymous(where, who, unkept) if _is_anonymous(where, who, way) else Access.to(where, who, unkept)
        world = access.auth._source.world  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of our own house
        self._case = Case(
            access=access,
            anonymous=_is_anonymous(where, who, way),
            world=Overheard(world, self._mask, self._tell_of),
            trust=access.auth.tls_context() or access.http_options.get("verify") or httpx2.create_ssl_context(),
            timeout_s=access.timeout_s or _TIMEOUT_S,
            gets_in=self._gets_in,
        )

    @property
    def url(self) -> str:
        """The MCP server's."""
        return shown(self._case.endpoint)

    @property
    def client(self) -> str:
        """Who asks; empty if nobody says."""
        return "" if self._case.anonymous or self._case.client is None else self._case.client.client_id

    def steps(self) -> Iterator[Step]:
        """The steps, as they are taken."""
        for step in walk(self._case, self._tell):
            self._taken.append(self._mask.value(step))
            yield self._taken[-1]

    def report(self) -> Report:
        """What was found; when all steps are taken."""
        return self._mask.value(
            Report(
                url=self.url,
                client=self.client,
                issuer=shown(self._case.issuer or self._case.target.issuer or "") or None,
                at=time.time(),
                version=version("gatepass"),
                steps=tuple(self._taken),
            )
        )

    def _tell_of(self, request: HttpRequest) -> None:
        self._tell(f"{request.method} {shown(request.url)}")

    def _changed(self, changes: Mapping[str, str | bool]) -> Access:
        case = self._case
        said = settle(as_options(changes), case.access.said)
        access = Access.described(case.access.auth.url, said, case.access.config)
        limit = {"timeout": case.timeout_s, **access.http_options}
        return replace(access, http_options=limit, timeout_s=case.timeout_s)

    def _gets_in(self, changes: Mapping[str, str | bool]) -> bool:
        """The whole way, with other options; nothing of it is shown."""
        self._tell(f"once more, with {as_typed(changes)}")
        try:
            asyncio.run(tools_of(self._changed(changes)))
        except (GatepassError, UsageError):
            return False
        return True


def _is_anonymous(where: str, who: Who, way: Way) -> bool:
    """Whether nothing was said of a client, anywhere: then one looks as far as anybody can see."""
    said = settle(options(who, way), environment(os.environ)).values
    return not is_name(where) and not said.keys() & {field.name for field in fields(Who)}


def _anonymous(where: str, who: Who, way: Way) -> Access:
    return Access.to(where, replace(who, client_id="nobody", auth_method=AuthMethod.NONE), way)
