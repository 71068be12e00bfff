"""What a protected server tells those it does not let in: RFC 6750 §3, RFC 9728 §5.1, RFC 9449 §7.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ChallengeParameter", "challenges"]

ChallengeParameter = Literal["error", "error_description", "resource_metadata", "scope", "algs"]
ERROR = ("error", "error_description")


def challenges(
    schemes: tuple[str, ...], used: str, parameters: Mapping[ChallengeParameter, str | None]
) -> Iterator[str]:
    """A ``WWW-Authenticate`` value for each scheme; the one that was used is told what was wrong with it.

    Args:
        schemes: the schemes on offer.
        used: the scheme of the request, known or not, in whatever case.
        parameters: what there is to say; None is left out.
    """
    blamed = next((scheme for scheme in (*schemes, "DPoP") if scheme.lower() == used.lower()), schemes[0])
    for scheme in dict.fromkeys((*schemes, blamed)):
        said = ", ".join(
            f'{name}="{value}"'
            for name, value in parameters.items()
            if value is not None and (scheme == "DPoP" or name != "algs") and (scheme == blamed or name not in ERROR)
        )
        yield f"{scheme} {said}".strip()
