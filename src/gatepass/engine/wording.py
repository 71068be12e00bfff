"""What the engine says of a renewal, to the log, to whoever watches and to whoever waits. Never a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.world import Notice
from gatepass.errors import GatepassError, SignInRequiredError
from gatepass.protocol.urls import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepass.core.http import HttpRequest
    from gatepass.core.world import Fact, Instant
    from gatepass.lifecycle.policy import Held
    from gatepass.lifecycle.record import TokenRecord
    from gatepass.protocol.scope import Scopes
    from gatepass.stores.base import Lease

__all__ = [
    "answered",
    "attempt_failed",
    "bug_of_ours",
    "is_closed",
    "lease_busy",
    "lease_taken",
    "listener_failed",
    "still_known",
    "still_usable",
    "there_is_none",
    "token_loaded",
    "token_obtained",
    "token_rejected",
    "token_used",
    "unanswered",
    "waited",
    "without_steps",
    "without_url",
]


def bug_of_ours(bug: BaseException) -> GatepassError:
    """Anything that is not a `GatepassError` is a bug of ours. Its text could hold anything, its place can't."""
    place, trace = "", bug.__traceback__
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}", trace.tb_next
    msg = f"gatepass failed unexpectedly ({type(bug).__name__} at {place}). Please report this."
    return GatepassError(msg, code="internal")


def without_url(error: GatepassError) -> GatepassError:
    """The same, without the URL of a sign-in, which holds a state."""
    if not isinstance(error, SignInRequiredError) or error.url is None:
        return error
    return SignInRequiredError(_said(error)).with_(**{**vars(error), "url": None})


def is_closed() -> GatepassError:
    return GatepassError("This Auth was closed, and makes no more tokens. Make another one.", code="closed")


# A token comes, and goes.


def token_obtained(record: TokenRecord, *, by: str, took_s: float) -> Notice:
    life = "an unknown time" if record.lifetime_s is None else f"{record.lifetime_s:g} s"
    text = f"Token {record.generation} from {record.issuer} for {record.resource}, good for {life}."
    facts: dict[str, Fact] = {
        "generation": record.generation,
        "issuer": record.issuer,
        "lifetime_s": record.lifetime_s,
        "by": by,
        "took_s": took_s,
    }
    return Notice(code="token_obtained", text=text, facts=facts)


def token_loaded(held: Held, now: Instant) -> Notice:
    age_s = _age_s(held, now)
    text = f"Token {held.generation} was in the store, {age_s:.0f} s old."
    facts: dict[str, Fact] = {"generation": held.generation, "issuer": held.record.issuer, "age_s": age_s}
    return Notice(code="token_loaded", text=text, level="debug", facts=facts)


def token_used(held: Held, now: Instant) -> Notice:
    age_s = _age_s(held, now)
    text = f"Token {held.generation} goes along with a request, {age_s:.0f} s old."
    return Notice(code="token_used", text=text, level="debug", facts={"generation": held.generation, "age_s": age_s})


def token_rejected(held: Held, now: Instant) -> Notice:
    age_s = _age_s(held, now)
    text = f"The resource refuses token {held.generation}, which is {age_s:.0f} s old."
    return Notice(code="token_rejected", text=text, facts={"generation": held.generation, "age_s": age_s})


# A renewal, and what it meets on its way.


def attempt_failed(error: GatepassError, *, attempt: int, took_s: float) -> Notice:
    facts = {**_facts_of(error), "attempt": attempt, "took_s": took_s}
    return Notice(code="attempt_failed", text=f"Attempt {attempt} failed. {_said(error)}", level="debug", facts=facts)


def still_usable(error: GatepassError) -> Notice:
    text = f"The renewal failed; the token at hand stays in use. {_said(error)}"
    return Notice(code="renewal_failed", text=text, level="warning", facts=_facts_of(error))


def there_is_none(error: GatepassError) -> Notice:
    text = f"There is no token, and whoever needs one is told so. {_said(error)}"
    return Notice(code="token_failed", text=text, facts=_facts_of(error))  # no warning: somebody is told


def still_known(error: GatepassError) -> Notice:
    text = f"The metadata can't be read again; what was discovered before stays in use. {error}"
    return Notice(code="discovery_failed", text=text, level="warning", facts=_facts_of(error))


def without_steps(scopes: Scopes, error: GatepassError) -> Notice:
    text = f"The authorization server gives {' '.join(scopes)} no longer; the token is renewed without. {error}"
    return Notice(code="step_up_lost", text=text, level="warning", facts=_facts_of(error))


def lease_taken(lease: Lease) -> Notice:
    text = f"The lease is ours ({lease.owner}): nobody else renews meanwhile."
    return Notice(code="lease_taken", text=text, level="debug", facts={"owner": lease.owner, "fence": lease.fence})


def lease_busy() -> Notice:
    return Notice(code="lease_busy", text="Somebody else renews; we look again.", level="debug")


def answered(request: HttpRequest, status: int, took_s: float) -> Notice:
    url = shown(request.url)
    facts: dict[str, Fact] = {"method": request.method, "url": url, "status": status, "took_s": took_s}
    return Notice(code="answered", text=f"{request.method} {url}: {status}.", level="debug", facts=facts)


def unanswered(request: HttpRequest, error: GatepassError, took_s: float) -> Notice:
    url = shown(request.url)
    facts = {"method": request.method, "url": url, **_facts_of(error), "took_s": took_s}
    return Notice(code="unanswered", text=f"{request.method} {url}: {error}", level="debug", facts=facts)


# Who waits, and who watches.


def waited(for_s: float, error: GatepassError | None) -> Notice:
    came = "a token" if error is None else f"no token ({error.code})"
    facts: dict[str, Fact] = {"waited_s": for_s, **({} if error is None else _facts_of(error))}
    return Notice(code="waited", text=f"A caller waited {for_s:.3f} s; {came} came of it.", level="debug", facts=facts)


def listener_failed(kind: str) -> Notice:
    text = f"The on_event callable failed with {kind}; it is told of the next events all the same."
    return Notice(code="listener_failed", text=text, level="warning", once=True)


def _said(error: GatepassError) -> str:
    """Its text, without the state that the URL of a sign-in holds."""
    url = error.url if isinstance(error, SignInRequiredError) else None
    return str(error) if url is None else str(error).replace(url, shown(url))


def _age_s(held: Held, now: Instant) -> float:
    return max(0.0, now.wall - held.record.obtained_at)


def _facts_of(error: GatepassError) -> Mapping[str, Fact]:
    """What tells one failure from another."""
    facts: dict[str, Fact] = {"kind": type(error).__name__, "code": error.code, "retryable": error.retryable}
    known = {"error": error.error, "status": error.status, "retry_at": error.retry_at}
    return {**facts, **{name: value for name, value in known.items() if value is not None}}
