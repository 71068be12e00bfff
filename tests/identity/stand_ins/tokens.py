"""The JWTs that platforms give their workloads, signed for real."""

from __future__ import annotations

import itertools
import time
from base64 import urlsafe_b64encode

from joserfc import jwt
from joserfc.jwk import ECKey
from key_material import pem

AUDIENCE = "https://auth.example.com"

_numbers = itertools.count()


def issued(audience: str | list[str], *, lifetime_s: int = 300) -> str:
    """A new one, different from every other."""
    now = int(time.time())
    claims = {
        "iss": "https://platform.example.com",
        "sub": "spiffe://example.com/ci-bot",
        "aud": audience,
        "iat": now - 600,
        "exp": now + lifetime_s,
        "jti": f"number {next(_numbers)}",
    }
    return jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(pem("P-256")))


def expired(audience: str) -> str:
    """One whose time is over."""
    return issued(audience, lifetime_s=-1)


def for_another(_: str) -> str:
    """One that was made for somebody else."""
    return issued("https://another.example.com")


def none_at_all(_: str) -> str:
    """What has the secrecy of a token, but not the form."""
    return "canary-that-is-no-jwt"


def bottomless(_: str) -> str:
    """One whose claims no parser gets to the end of."""
    header, claims = (urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", b'{"a":' * 9999))
    return f"{header}.{claims}.canary"
