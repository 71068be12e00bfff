"""DPoP proofs, read and checked without any code of ours (RFC 9449 §4.3)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass

import jwt


@dataclass(frozen=True)
class Proof:
    """What a proof says; its signature was right."""

    header: dict[str, object]
    claims: dict[str, object]

    @property
    def jti(self) -> object:
        return self.claims["jti"]


def read_proof(proof: str) -> Proof:
    """The proof, if it was signed by the key that it names, and is one."""
    header = jwt.get_unverified_header(proof)
    key = jwt.PyJWK({**header["jwk"], "alg": header["alg"]})
    claims = jwt.decode(proof, key, algorithms=[header["alg"]], options={"verify_iat": False})
    assert header["typ"] == "dpop+jwt"
    assert not {"d", "p", "q", "k"} & set(header["jwk"]), "a proof shows a private key"
    assert set(header) == {"typ", "alg", "jwk"}
    assert set(claims) <= {"jti", "htm", "htu", "iat", "ath", "nonce"}
    return Proof(header, claims)


def token_hash(access_token: str) -> str:
    """The claim `ath` of a proof for that token."""
    return urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638 §3, for keys on a curve."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
