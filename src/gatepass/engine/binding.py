"""What tokens are bound to: a key (RFC 9449), the certificate of the token client (RFC 8705), both or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.secret import Secret
from gatepass.core.world import PrivateKey
from gatepass.keys.thumbprint import thumbprint

if TYPE_CHECKING:
    from gatepass.core.world import Signer
    from gatepass.engine.shelf import Shelf
    from gatepass.engine.world import RealWorld

__all__ = ["Binding"]


class Binding:
    """What the tokens of one identity are bound to.

    Args:
        dpop: the key, as configured; True for one that is made and kept, False for none.
        world: reads keys, and knows the certificate.
        shelf: keeps a key that was made, and is told by which name a bound token goes.
    """

    def __init__(self, dpop: PrivateKey | Signer | bool, world: RealWorld, shelf: Shelf) -> None:
        self._dpop = dpop
        self._world = world
        self._shelf = shelf

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Those that the user's key is made of."""
        key = self._dpop
        if not isinstance(key, PrivateKey):
            return ()
        return (key.text,) if key.password is None else (key.text, key.password)

    def signer(self) -> Signer | None:
        """The key, ready to sign, if there is one. From now on the shelf names tokens by what they are bound to."""
        certificate = self._world.certificate()
        bound_to = (certificate,) if certificate else ()
        signer: Signer | None = None
        if self._dpop is True:
            signer = self._world.signer(self._generated())
        elif self._dpop:
            signer = self._world.signer(self._dpop)
            bound_to = (*bound_to, thumbprint(signer.public_jwk))
        self._shelf.bind(*bound_to)
        return signer

    def known_signer(self) -> Signer | None:
        """As `signer`, for somebody who only looks: no key is made."""
        return None if self._dpop is True and not self._shelf.has_key else self.signer()

    def _generated(self) -> PrivateKey:
        from gatepass.signers.generated import generate  # not before a key is wanted: most clients have none

        return PrivateKey(text=Secret(self._shelf.generated_key(generate).jwk))
