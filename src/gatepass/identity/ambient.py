"""Whichever platform this is: the first that recognises itself."""

from __future__ import annotations

import logging
from contextlib import suppress

from gatepass.errors import ConfigurationError
from gatepass.identity.aws import AwsWebIdentity
from gatepass.identity.azure import AzureManagedIdentity
from gatepass.identity.base import Platform
from gatepass.identity.github_actions import GitHubActions
from gatepass.identity.gitlab_ci import GitLabCI
from gatepass.identity.google_cloud import GoogleCloud
from gatepass.identity.kubernetes import KubernetesToken
from gatepass.identity.spiffe import Spiffe
from gatepass.mutex import Mutex

__all__ = ["Ambient"]

_log = logging.getLogger("gatepass")


class Ambient:
    """The JWT of whichever platform this is; None where it is none of them.

    They are looked for in this order, the nearer one first: a job of GitHub Actions or GitLab CI, a SPIFFE agent, a
    token mounted into a pod, then Google Cloud, Azure and AWS. The first that is here is asked, and no other, even if
    it fails. Looking reads variables and local files only. Which one it is stands in the log, once a change.

    Arguments:
        sources: the platforms to look for instead, in this order.

    Raises:
        ConfigurationError: a source is no `Platform` (code ``source_invalid``).
    """

    __slots__ = ("_mutex", "_said", "sources")

    audience_checked = True  # by the platform

    def __init__(self, *sources: Platform) -> None:
        for source in sources:
            if not isinstance(source, Platform):  # pyright: ignore[reportUnnecessaryIsInstance]
                msg = f"Ambient looks for platforms, such as GitHubActions(), not for a {type(source).__name__}."
                raise ConfigurationError(msg, code="source_invalid")
        self.sources = sources or (
            GitHubActions(),
            GitLabCI(),
            Spiffe(),
            KubernetesToken(),
            GoogleCloud(),
            AzureManagedIdentity(),
            AwsWebIdentity(),
        )
        self._mutex = Mutex()
        self._said = ""

    @property
    def found(self) -> Platform | None:
        """The platform that is here."""
        return next((source for source in self.sources if source.here()), None)

    @property
    def name(self) -> str:
        """The name of the platform that is here, or ``"Ambient"`` where there is none."""
        found = self.found
        return "Ambient" if found is None else found.name

    @property
    def identity(self) -> tuple[str, ...]:
        """The platforms that are looked for, and what was configured of them."""
        return ("ambient", *(part for source in self.sources for part in source.identity))

    def __call__(self, audience: str) -> str | None:
        """A JWT for `audience` from the platform that is here; None if there is none.

        Raises:
            ConfigurationError: the platform has something to mend.
            UnreachableError: it gives no token now; retryable.
        """
        found = self.found
        if found is None:
            return None
        self._say(found.name)
        return found(audience)

    def _say(self, name: str) -> None:
        with self._mutex.lock:
            changed, self._said = self._said != name, name
        if changed:
            with suppress(Exception):  # a handler may be anybody's; its trouble must not cost a token
                _log.info("The workload's own JWT comes from %s.", name)

    def __repr__(self) -> str:
        return f"Ambient({', '.join(map(repr, self.sources))})"
