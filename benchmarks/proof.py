"""DPoP on the hot path: what authorizing a request with a proof costs, against the signature in the proof.

Whole calls are timed by the processor's time for them, on a transport in this process, and the calls with a fixed
header subtracted.
"""

from __future__ import annotations

from operator import sub
from statistics import median
from time import thread_time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from requests_oauth2client import DPoPKey, DPoPToken

from benchmarks.contenders import CONTENDERS, GATEPASS, YARDSTICKS
from benchmarks.contenders.base import LIFETIME_S, URL, a_token
from benchmarks.contenders.gatepass import Gatepass
from benchmarks.hot_path import quickest_rounds, undisturbed
from benchmarks.results import Result, yardstick_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench

__all__ = ["proof"]

A_PROOF = b"x" * 400
SIGNATURE = "the bare signature"
PEER = "requests-oauth2client"
NOTES = {name: "It has no DPoP." for name in CONTENDERS if name not in {GATEPASS, PEER}}
CALLS = 20
ROUNDS = 100
AIM = 2.0


def proof(bench: Bench) -> Iterator[Result]:
    """Each kind of key, in a client of its own."""
    on_p256, on_ed25519 = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    yield _measured(bench, "ES256", on_p256, lambda: on_p256.sign(A_PROOF, ec.ECDSA(SHA256())))
    yield _measured(bench, "EdDSA", on_ed25519, lambda: on_ed25519.sign(A_PROOF))


def _measured(
    bench: Bench,
    algorithm: str,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    sign: Callable[[], bytes],
) -> Result:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    members = {
        yardstick_of(GATEPASS): YARDSTICKS["httpx2"].holding(URL),
        yardstick_of(PEER): YARDSTICKS["requests"].holding(URL),
        GATEPASS: Gatepass().holding(URL, dpop=pem),
        PEER: DPoPToken(a_token(), _dpop_key=DPoPKey.generate(algorithm), expires_in=LIFETIME_S),
    }
    callers = {each.speaks: each.caller() for each in (YARDSTICKS["httpx2"], YARDSTICKS["requests"])}
    samples = {SIGNATURE: _timed(sign)}
    for name, member in members.items():
        call = callers["requests" if name in {PEER, yardstick_of(PEER)} else "httpx2"]
        samples[name] = _timed(lambda call=call, member=member: call(member))
    quick = quickest_rounds(undisturbed(samples, bench.rounds(ROUNDS)))
    signature_s = median(quick[SIGNATURE])
    figures = {
        name: median(map(sub, quick[name], quick[yardstick_of(name)])) / signature_s for name in (GATEPASS, PEER)
    }
    return Result(
        name=f"proof-{algorithm}",
        measure=f"a request with a DPoP proof by {algorithm}, against its bare signature",
        figures=figures,
        yardstick=f"1.00 = {signature_s * 1e6:.0f} µs",
        notes=NOTES,
        aim=f"{AIM:g}",
        met=figures[GATEPASS] <= AIM,
    )


def _timed(action: Callable[[], object]) -> Callable[[], float]:
    def sample() -> float:
        start = thread_time()
        for _ in range(CALLS):
            action()
        return (thread_time() - start) / CALLS

    return sample
