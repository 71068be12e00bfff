"""What the flow of a request needs beyond an answer; each is met by blocking a thread, or by awaiting."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gatepass.core.value import Value

if TYPE_CHECKING:
    from gatepass.dpop import ProofKey
    from gatepass.engine.source import Source
    from gatepass.lifecycle.policy import Held

__all__ = ["TOKEN", "TOKEN_OR_BARE", "Signature", "Token"]


class Token(Value, frozen=True, kw_only=True):
    """A token.

    Attributes:
        bare_ok: rather a bare request than a token with the wrong scopes.
        scopes: what it must have been asked for with.
    """

    bare_ok: bool = False
    scopes: tuple[str, ...] = ()

    def meet(self, source: Source, patience_s: float) -> Held | None:
        return source.get_or_bare(patience_s) if self.bare_ok else source.get(patience_s, self.scopes)

    async def ameet(self, source: Source, patience_s: float) -> Held | None:
        return await (source.aget_or_bare(patience_s) if self.bare_ok else source.aget(patience_s, self.scopes))


class Signature(Value, frozen=True, kw_only=True):
    """A signature by a key that lives elsewhere: made on a worker, for it may take a while."""

    key: ProofKey
    data: bytes

    def meet(self, source: Source, patience_s: float) -> bytes:  # noqa: ARG002 - a signer has time-outs of its own
        return source.world.sign(self.key.signer, self.key.algorithm, self.data)

    async def ameet(self, source: Source, patience_s: float) -> bytes:
        return await source.ado(partial(source.world.sign, self.key.signer, self.key.algorithm, self.data), patience_s)


TOKEN = Token()
TOKEN_OR_BARE = Token(bare_ok=True)
