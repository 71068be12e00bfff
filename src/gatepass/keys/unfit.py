"""Why a key won't do: what it is instead, and what to do about it. Each of these is mended in another way."""

from __future__ import annotations

from gatepass.errors import ConfigurationError

__all__ = ["check_rsa_bits", "damaged", "not_private", "unfit", "unsupported"]

_RSA_MIN_BITS = 2048
_SUPPORTED = "RSA (2048 bits or more), EC on P-256, P-384 or P-521, and Ed25519"
_MAKE_ONE = "Make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY.pem"


def unfit(origin: str, code: str, what: str) -> ConfigurationError:
    """An error that names where the key came from, and quotes nothing of it."""
    return ConfigurationError(f"{origin}: {what}", code=code)


def not_private(origin: str, what: str) -> ConfigurationError:
    """A public key or a certificate where a private key was expected."""
    return unfit(origin, "key_not_private", f"{what}, not a private key. Give the private key that belongs to it.")


def unsupported(origin: str, what: str) -> ConfigurationError:
    """A private key of a kind that gatepass does not sign with."""
    return unfit(origin, "key_unsupported", f"{what}. Supported are {_SUPPORTED}. {_MAKE_ONE}")


def damaged(origin: str) -> ConfigurationError:
    """A private key that can't be read, or whose parts belong to different keys."""
    what = "this private key is damaged: its parts can't be read or don't fit together. Check a PEM with:"
    return unfit(origin, "key_invalid", f"{what} openssl pkey -in KEY.pem -check -noout")


def check_rsa_bits(bits: int, origin: str) -> None:
    """Refuse an RSA key that is too short (RFC 7518 §3.3).

    Raises:
        ConfigurationError: it has fewer than 2048 bits (code ``key_weak``).
    """
    if bits < _RSA_MIN_BITS:
        raise unfit(origin, "key_weak", f"an RSA key of {bits} bits; {_RSA_MIN_BITS} are the least. {_MAKE_ONE}")
