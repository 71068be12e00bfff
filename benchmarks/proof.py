"""DPoP on the hot path: what authorizing a request with a proof costs, against the signature in the proof.

Whole calls are timed, on a transport in this process, and the calls with a fixed header subtracted.
"""

from __future__ import annotations

from operator import sub
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.contenders import FixedHeader, gatepass_holding
from benchmarks.hot_path import answer, quickest_rounds, undisturbed
from benchmarks.results import FIXED, GATEPASS, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench

__all__ = ["proof"]

URL = "https://mcp.example.com/mcp"
A_PROOF = b"x" * 400
SIGNATURE = "the bare signature"
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
    contenders = {FIXED: FixedHeader(), GATEPASS: gatepass_holding(URL, dpop=pem)}
    clients = {
        name: httpx2.Client(auth=auth, transport=httpx2.MockTransport(answer)) for name, auth in contenders.items()
    }
    samples = {name: _timed(lambda http=http: http.get(URL)) for name, http in clients.items()}
    quick = quickest_rounds(undisturbed({**samples, SIGNATURE: _timed(sign)}, bench.rounds(ROUNDS)))
    signature_s = median(quick[SIGNATURE])
    added = median(map(sub, quick[GATEPASS], quick[FIXED])) / signature_s
    return Result(
        measure=f"a request with a DPoP proof by {algorithm}, against its bare signature",
        fixed_header=f"1.00 = {signature_s * 1e6:.0f} µs",
        gatepass=added,
        official_sdk=None,
        aim=f"{AIM:g}",
        met=added <= AIM,
    )


def _timed(action: Callable[[], object]) -> Callable[[], float]:
    def sample() -> float:
        start = perf_counter()
        for _ in range(CALLS):
            action()
        return (perf_counter() - start) / CALLS

    return sample
