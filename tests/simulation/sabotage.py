"""Ways to break the client or its store, each of which one invariant must notice: else it would be worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gatepass.lifecycle.policy import Policy
from gatepass.stores.base import Entry, Lease
from simulation.fleet import Pool, Surroundings, VirtualWorld
from simulation.naive import NaiveProcess
from simulation.storage import Link


class GenerousLink(Link):
    """Gives the lease to everybody."""

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        lease = super().acquire(name, owner, ttl_s)
        return lease or Lease(name=name, owner=owner, fence=10**9, until=self._server.clock() + ttl_s)


class EndlessLink(Link):
    """Gives leases that last a day."""

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        return super().acquire(name, owner, 86_400.0)

    def release(self, lease: Lease) -> None:
        self.lease = None


class LyingLink(Link):
    """Acknowledges every second token, and does not keep it."""

    _tokens = 0

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        self._tokens += name.startswith("token.")
        if name.startswith("token.") and self._tokens % 2 == 0:
            return expect + 1
        return super().write(name, value, expect=expect, fence=fence)


class BlindLink(Link):
    """Never finds a token."""

    def read(self, name: str) -> Entry | None:
        return None if name.startswith("token.") else super().read(name)


class LoadedDice(VirtualWorld):
    """No jitter: everybody draws the same."""

    def random_bytes(self, n: int) -> bytes:
        return b"\xff" * n


class ForgetfulPool(Pool):
    """Never does what was to be done later."""

    def run_later(self, delay_s: float, host: str, job: Callable[[], None]) -> None:
        if delay_s == 0.0:
            super().run_later(delay_s, host, job)


def _links(link: type[Link], around: Surroundings) -> None:
    around.link = link


def _no_jitter(around: Surroundings) -> None:
    around.world = LoadedDice


def _wasteful(around: Surroundings) -> None:
    around.policy = Policy(margin_share=0.9, margin_s=1e9)


def _impatient(around: Surroundings) -> None:
    around.policy = Policy(renew_from=0.1, renew_to=0.2)


def _forgetful(around: Surroundings) -> None:
    around.pool = ForgetfulPool


def _naive(around: Surroundings) -> None:
    around.process = NaiveProcess


SABOTAGE: dict[str, Callable[[Surroundings], None]] = {
    "the lease is everybody's": partial(_links, GenerousLink),
    "leases last a day": partial(_links, EndlessLink),
    "the store acknowledges what it does not keep": partial(_links, LyingLink),
    "the store hides its tokens": partial(_links, BlindLink),
    "no jitter": _no_jitter,
    "tokens are given up at a tenth of their life": _wasteful,
    "tokens are renewed at a tenth of their life": _impatient,
    "what is to be done later is forgotten": _forgetful,
    "renewal on 401": _naive,
}
