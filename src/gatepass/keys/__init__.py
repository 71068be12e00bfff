"""Private keys: read from PEM or JWK, signing for whoever asks, and the thumbprints of their public halves.

What reads and signs (joserfc, over cryptography) costs as much to import as the HTTP client, so it is imported with the
first key and not with this package.
"""

from __future__ import annotations

from gatepass.keys.local_key import LocalKey
from gatepass.keys.parse import parse_private_key
from gatepass.keys.thumbprint import thumbprint, x5t_s256

__all__ = ["LocalKey", "parse_private_key", "thumbprint", "x5t_s256"]
