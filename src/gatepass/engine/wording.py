"""What the engine says of a renewal, to the log and to whoever waits. Never a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.world import Notice
from gatepass.errors import GatepassError

if TYPE_CHECKING:
    from gatepass.lifecycle.record import TokenRecord
    from gatepass.protocol.scope import Scopes

__all__ = ["bug_of_ours", "still_known", "still_usable", "token_obtained", "without_steps"]


def bug_of_ours(bug: BaseException) -> GatepassError:
    """Anything that is not a `GatepassError` is a bug of ours. Its text could hold anything, its place can't."""
    place, trace = "", bug.__traceback__
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}", trace.tb_next
    msg = f"gatepass failed unexpectedly ({type(bug).__name__} at {place}). Please report this."
    return GatepassError(msg, code="internal")


def token_obtained(record: TokenRecord) -> Notice:
    life = "an unknown time" if record.lifetime_s is None else f"{record.lifetime_s:g} s"
    text = f"Token {record.generation} from {record.issuer} for {record.resource}, good for {life}."
    return Notice(code="token_obtained", text=text)


def still_known(error: GatepassError) -> Notice:
    text = f"The metadata can't be read again; what was discovered before stays in use. {error}"
    return Notice(code="discovery_failed", text=text, level="warning")


def without_steps(scopes: Scopes, error: GatepassError) -> Notice:
    text = f"The authorization server gives {' '.join(scopes)} no longer; the token is renewed without. {error}"
    return Notice(code="step_up_lost", text=text, level="warning")


def still_usable(error: GatepassError) -> Notice:
    text = f"The renewal failed; the token at hand stays in use. {error}"
    return Notice(code="renewal_failed", text=text, level="warning")
