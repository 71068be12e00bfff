"""A key that is made here, to bind tokens to it (RFC 9449)."""

from __future__ import annotations

import json

from gatepass.lifecycle.record import GeneratedKey

__all__ = ["generate"]


def generate() -> GeneratedKey:
    """A new key on P-256, for ES256: what every server that knows DPoP takes."""
    from joserfc.jwk import ECKey

    return GeneratedKey(jwk=json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
