"""The scenarios: which fleet, for how long, in which weather."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["SCENARIOS", "Scenario"]

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86_400.0

Sharing = Literal["fleet", "machine", "nothing"]
"""One store for all machines; one for the processes of each machine; none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One kind of trouble: how often it comes, and how long it lasts.

    Attributes:
        every_s: the mean time from one to the next.
        lasts_s: from and to.
        value_s: from and to; what it means depends on the kind.
    """

    every_s: float
    lasts_s: tuple[float, float] = (0.0, 0.0)
    value_s: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A fleet and its weather.

    Attributes:
        about: what it is, in a line.
        workers: how many workers there are ...
        per_machine: ... and how many of them on a machine.
        start_within_s: how long it takes until all of them have started.
        services: how many clients they are; the workers of one share its token.
        days: how long it takes.
        lifetime_s: how long a token lives.
        call_every_s: the mean time from one call of a worker to its next.
        sharing: who shares a store.
        refreshable: the authorization server issues refresh tokens.
        attended: a person has to sign in where there is no refresh token.
        metadata_max_age_s: for how long metadata may be kept, if it says so.
        capacity_per_s: how many requests the authorization server takes in a second.
        most_per_second: how many it has in any second, at the most ...
        most_when_well: ... and how many while it is well, from the moment that it is.
        recovery_s: how long after the end of all trouble a call may still fail.
        outages: what is wrong with it for certain, from when, and for how long.
        server: its troubles, by kind.
        store: troubles of the stores, by kind.
        clocks: how often the clock of a machine jumps; by how far.
        restarts: how often a worker is killed; how long it is away.
        rollouts: how often all are restarted, within half an hour.
        key_rotations: how often the resource comes to refuse all tokens.
        secret_rotations: how often a client gets a new secret; machines learn of it within minutes.
        deadly: how probable it is that a process that takes the lease is killed in the next moments ...
        hanging: ... or hangs.
    """

    about: str
    workers: int
    days: float
    lifetime_s: float
    call_every_s: float
    most_per_second: int
    most_when_well: int
    recovery_s: float = 90.0
    start_within_s: float = 30.0
    per_machine: int = 8
    services: int = 1
    sharing: Sharing = "fleet"
    refreshable: bool = False
    attended: bool = False
    metadata_max_age_s: int | None = None
    capacity_per_s: int = 200
    outages: tuple[tuple[str, float, float], ...] = ()
    server: dict[str, Trouble] = field(default_factory=dict)
    store: dict[str, Trouble] = field(default_factory=dict)
    clocks: Trouble | None = None
    restarts: Trouble | None = None
    rollouts: Trouble | None = None
    key_rotations: Trouble | None = None
    secret_rotations: Trouble | None = None
    deadly: float = 0.0
    hanging: float = 0.0


def _server(share: float, *, lasts_s: tuple[float, float]) -> dict[str, Trouble]:
    """All that can be wrong with an authorization server, so often that it is in trouble for a share of the time."""
    every_s = (lasts_s[0] + lasts_s[1]) / 2 / share * 7
    return {
        "refuses": Trouble(every_s=every_s, lasts_s=lasts_s),
        "hangs": Trouble(every_s=every_s, lasts_s=lasts_s),
        "mute": Trouble(every_s=every_s, lasts_s=lasts_s),
        "busy": Trouble(every_s=every_s, lasts_s=lasts_s),
        "closed": Trouble(every_s=every_s, lasts_s=lasts_s),
        "limits": Trouble(every_s=every_s, lasts_s=lasts_s, value_s=(1.0, 300.0)),
        "slow": Trouble(every_s=every_s, lasts_s=lasts_s, value_s=(1.0, 12.0)),
    }


def _store(share: float, *, lasts_s: tuple[float, float]) -> dict[str, Trouble]:
    """All that can be wrong with a store, likewise."""
    every_s = (lasts_s[0] + lasts_s[1]) / 2 / share * 4
    return {
        "down": Trouble(every_s=every_s, lasts_s=lasts_s),
        "deaf": Trouble(every_s=every_s, lasts_s=lasts_s),
        "mute": Trouble(every_s=every_s, lasts_s=lasts_s),
        "slow": Trouble(every_s=every_s, lasts_s=lasts_s),
        "loses": Trouble(every_s=every_s / 4, value_s=(1.0, 15.0)),
    }


SCENARIOS: dict[str, Scenario] = {
    "fleet": Scenario(
        about="10,000 workers on one store, three weeks, tokens of a day, a bit of everything",
        workers=10_000,
        services=5,
        days=21,
        lifetime_s=DAY_S,
        call_every_s=8 * HOUR_S,
        most_per_second=30,
        most_when_well=20,
        server=_server(0.08, lasts_s=(MINUTE_S, 2 * HOUR_S)),
        store=_store(0.03, lasts_s=(MINUTE_S, HOUR_S)),
        clocks=Trouble(every_s=60 * DAY_S, lasts_s=(MINUTE_S, 12 * HOUR_S), value_s=(5 * MINUTE_S, 12 * HOUR_S)),
        restarts=Trouble(every_s=20 * DAY_S, lasts_s=(1.0, MINUTE_S)),
        rollouts=Trouble(every_s=10 * DAY_S),
        key_rotations=Trouble(every_s=6 * DAY_S),
        secret_rotations=Trouble(every_s=7 * DAY_S),
        deadly=0.02,
        hanging=0.01,
    ),
    "hourly": Scenario(
        about="300 busy workers, tokens of an hour, a store that is always well, an authorization server in trouble",
        workers=300,
        services=2,
        days=2,
        lifetime_s=HOUR_S,
        call_every_s=10 * MINUTE_S,
        most_per_second=40,
        most_when_well=20,
        server=_server(0.25, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        restarts=Trouble(every_s=DAY_S, lasts_s=(1.0, MINUTE_S)),
        key_rotations=Trouble(every_s=DAY_S),
        secret_rotations=Trouble(every_s=DAY_S),
        deadly=0.02,
        hanging=0.01,
    ),
    "half a minute": Scenario(
        about="50 workers, tokens of 30 seconds",
        workers=50,
        days=0.2,
        lifetime_s=30.0,
        call_every_s=5.0,
        most_per_second=60,
        most_when_well=60,
        server=_server(0.05, lasts_s=(1.0, 30.0)),
        store=_store(0.02, lasts_s=(1.0, 30.0)),
        restarts=Trouble(every_s=2 * HOUR_S, lasts_s=(1.0, MINUTE_S)),
        key_rotations=Trouble(every_s=HOUR_S),
        deadly=0.01,
        hanging=0.005,
    ),
    "refresh tokens": Scenario(
        about="200 workers that share refresh tokens, each of which can be used once",
        workers=200,
        services=10,
        days=2,
        lifetime_s=HOUR_S,
        call_every_s=5 * MINUTE_S,
        refreshable=True,
        most_per_second=50,
        most_when_well=30,
        server=_server(0.15, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        store=_store(0.08, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        restarts=Trouble(every_s=DAY_S, lasts_s=(1.0, MINUTE_S)),
        key_rotations=Trouble(every_s=DAY_S),
        deadly=0.02,
        hanging=0.01,
    ),
    "people": Scenario(
        about="160 processes of 20 people who have signed in once",
        workers=160,
        services=20,
        days=1,
        lifetime_s=HOUR_S,
        call_every_s=5 * MINUTE_S,
        refreshable=True,
        attended=True,
        most_per_second=50,
        most_when_well=30,
        recovery_s=300.0,
        server=_server(0.15, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        store=_store(0.08, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        restarts=Trouble(every_s=DAY_S, lasts_s=(1.0, MINUTE_S)),
        deadly=0.02,
        hanging=0.01,
    ),
    "machines": Scenario(
        about="400 processes on 50 machines with a file store each, whose clocks jump",
        workers=400,
        days=1.5,
        lifetime_s=HOUR_S,
        call_every_s=6 * MINUTE_S,
        sharing="machine",
        most_per_second=80,
        most_when_well=50,
        server=_server(0.1, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        store=_store(0.01, lasts_s=(MINUTE_S, 30 * MINUTE_S)),
        clocks=Trouble(every_s=4 * DAY_S, lasts_s=(MINUTE_S, 12 * HOUR_S), value_s=(5 * MINUTE_S, 12 * HOUR_S)),
        restarts=Trouble(every_s=DAY_S, lasts_s=(1.0, MINUTE_S)),
        key_rotations=Trouble(every_s=DAY_S),
        deadly=0.02,
        hanging=0.01,
    ),
    "alone": Scenario(
        about="200 processes that start at once and share nothing; the server fails, closes for a while, and is gone",
        workers=200,
        start_within_s=1.0,
        days=0.3,
        lifetime_s=HOUR_S,
        call_every_s=10.0,
        sharing="nothing",
        metadata_max_age_s=86_400,
        most_per_second=80,
        most_when_well=18,
        outages=(
            ("busy", HOUR_S, 10 * MINUTE_S),
            ("closed", 2 * HOUR_S, 70 * MINUTE_S),
            ("refuses", 4.5 * HOUR_S, 70 * MINUTE_S),
        ),
    ),
    "outages": Scenario(
        about="500 workers, tokens of an hour; one outage of ten minutes, one longer than a token lives",
        workers=500,
        days=0.5,
        lifetime_s=HOUR_S,
        call_every_s=MINUTE_S,
        most_per_second=40,
        most_when_well=5,
        outages=(("busy", 4 * HOUR_S, 10 * MINUTE_S), ("busy", 8 * HOUR_S, 70 * MINUTE_S)),
    ),
}
