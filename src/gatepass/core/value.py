"""Value: what most things here are. Frozen, slotted, compared by content, and careful about what its repr shows."""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = ["Value"]


class Value(msgspec.Struct, frozen=True):
    """A frozen value. Its repr leaves out the fields named in `hidden`, which may hold a secret.

    A struct rather than a dataclass, because there are dozens: one is defined in a fortieth of the time.
    """

    hidden: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.hidden)
        return f"{type(self).__name__}({', '.join(shown)})"
