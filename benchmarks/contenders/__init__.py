"""Who takes part, one file each: a fixed header, gatepass, and its peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contenders.authlib import Authlib
from benchmarks.contenders.fastmcp import FastMcp
from benchmarks.contenders.fixed_header import FIXED, FixedOnHttpx, FixedOnHttpx2, FixedOnRequests
from benchmarks.contenders.gatepass import GATEPASS, Gatepass
from benchmarks.contenders.google_auth import GoogleAuth
from benchmarks.contenders.httpx_auth import HttpxAuth
from benchmarks.contenders.official_sdk import OfficialSdk
from benchmarks.contenders.requests_oauth2client import RequestsOAuth2Client

if TYPE_CHECKING:
    from benchmarks.contenders.base import Contender

__all__ = ["CONTENDERS", "FIXED", "GATEPASS", "YARDSTICKS"]

CONTENDERS: dict[str, Contender] = {
    each.name: each
    for each in (
        Gatepass(),
        OfficialSdk(),
        FastMcp(),
        Authlib(),
        HttpxAuth(),
        RequestsOAuth2Client(),
        GoogleAuth(),
    )
}
"""By name, in the order of the table."""

YARDSTICKS: dict[str, Contender] = {each.speaks: each for each in (FixedOnHttpx2(), FixedOnHttpx(), FixedOnRequests())}
"""A fixed header, by HTTP client."""
