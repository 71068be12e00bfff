"""DPoP: proofs that a request comes from whoever holds a token's key (RFC 9449; SEP-1932).

A proof is made for each request, on the hot path: all of it that does not change stands ready in the `ProofKey`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from gatepass.core.value import Value
from gatepass.errors import ConfigurationError
from gatepass.keys.thumbprint import public_members, thumbprint
from gatepass.protocol.jwt import base64url

if TYPE_CHECKING:
    from gatepass.core.world import Signer, World

__all__ = ["ProofKey", "proof_input", "proof_key", "prove", "target_uri", "token_hash"]

_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_encode = msgspec.json.encode


class ProofKey(Value, frozen=True, kw_only=True):
    """A key that tokens are bound to.

    Attributes:
        signer: makes the signatures.
        algorithm: the JWS algorithm of the proofs.
        thumbprint: of the public key (RFC 7638), by which a bound token names it (RFC 9449 §6.1).
        header: the header of every proof, encoded and followed by a dot.
        local: signing takes microseconds and no I/O, so that it may be done in an event loop.
    """

    hidden = ("signer", "header")

    signer: Signer
    algorithm: str
    thumbprint: str
    header: bytes
    local: bool


def proof_key(signer: Signer, *offers: tuple[str, ...] | None) -> ProofKey:
    """The key, with the first of its own algorithms that everybody takes.

    Args:
        signer: the key.
        offers: the `dpop_signing_alg_values_supported` of each server (RFC 9449 §5.1, RFC 9728 §2); None or empty: not
            said.

    Raises:
        ConfigurationError: there is no such algorithm (code ``dpop_alg_not_offered``).
    """
    able = [name for name in signer.algorithms if name in _ALGORITHMS]
    for algorithm in able:
        if all(algorithm in offer for offer in offers if offer):
            return _ready(signer, algorithm)
    taken = "; ".join(", ".join(sorted(_ALGORITHMS & set(offer))) or "none" for offer in offers if offer)
    msg = (
        f"The key signs DPoP proofs with {', '.join(able) or 'no algorithm at all'}, but the servers take {taken}. "
        "Give a key that fits with dpop=..."
    )
    raise ConfigurationError(msg, code="dpop_alg_not_offered")


def _ready(signer: Signer, algorithm: str) -> ProofKey:
    """RFC 9449 §4.2: the header never changes from proof to proof."""
    header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": public_members(signer.public_jwk)}
    return ProofKey(
        signer=signer,
        algorithm=algorithm,
        thumbprint=thumbprint(signer.public_jwk),
        header=f"{base64url(_encode(header))}.".encode("ascii"),
        local=getattr(signer, "local", False) is True,
    )


def proof_input(
    key: ProofKey,
    *,
    method: str,
    url: str,
    issued_at: int,
    random: bytes,
    token_hash: str | None = None,
    nonce: str | None = None,
) -> bytes:
    """What a proof signs (RFC 9449 §4.2).

    Args:
        key: whose proof it is.
        method: of the request.
        url: of the request, without query and fragment (see `target_uri`).
        issued_at: now, in epoch seconds.
        random: 16 bytes that nobody can guess, fresh for each proof.
        token_hash: of the access token that goes along (see `token_hash`).
        nonce: what the server wants to see in it.
    """
    claims: dict[str, object] = {"jti": base64url(random), "htm": method, "htu": url, "iat": issued_at}
    if token_hash is not None:
        claims["ath"] = token_hash
    if nonce is not None:
        claims["nonce"] = nonce
    return key.header + base64url(_encode(claims)).encode("ascii")


def prove(world: World, key: ProofKey, *, method: str, url: str, nonce: str | None) -> str:
    """A proof for a token request, which carries no token yet (RFC 9449 §5)."""
    data = proof_input(
        key,
        method=method,
        url=target_uri(url),
        issued_at=int(world.now().wall),
        random=world.random_bytes(16),
        nonce=nonce,
    )
    return f"{data.decode('ascii')}.{base64url(world.sign(key.signer, key.algorithm, data))}"


def token_hash(access_token: str) -> str:
    """What binds a proof to the token that it comes with: `ath` (RFC 9449 §4.2)."""
    return base64url(hashlib.sha256(access_token.encode("ascii")).digest())


def target_uri(url: str) -> str:
    """The URL of a request as a proof names it: `htu`, without query and fragment (RFC 9449 §4.2)."""
    return url.partition("#")[0].partition("?")[0]
