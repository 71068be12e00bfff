"""GitHub Actions: the job's own OIDC token, from the service that the runner names.

Asked for directly: `id`, the library for this, has no way to ask one platform alone, a time-out of its own, and errors
that quote the answer.
"""

from __future__ import annotations

import os
from typing import ClassVar

import msgspec

from gatepass.errors import ConfigurationError
from gatepass.identity.base import Platform, hush
from gatepass.identity.machine import any_set

__all__ = ["GitHubActions"]

_OK = 200
_PERMISSION = "Give the job `permissions: id-token: write`; jobs of a fork's pull request can't have it."

hush("httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy")


class _Answer(msgspec.Struct):
    value: str


class GitHubActions(Platform, frozen=True):
    """The OIDC token of a GitHub Actions job, which needs the permission ``id-token: write``.

    Here: ``GITHUB_ACTIONS`` is set.
    """

    name: ClassVar[str] = "GitHub Actions"

    def here(self) -> bool:
        """Whether this is a job of GitHub Actions."""
        return any_set("GITHUB_ACTIONS")

    def _fetch(self, audience: str) -> object:
        import httpx2

        place, permit = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"), os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        if not place or not permit:
            raise ConfigurationError(
                f"{self.name} gives this job no token. {_PERMISSION}", code="workload_token_refused"
            )
        try:
            url = httpx2.URL(place).copy_merge_params({"audience": audience})
            response = httpx2.get(url, headers={"Authorization": f"Bearer {permit}"}, timeout=self.timeout_s)
        except (httpx2.TransportError, httpx2.DecodingError):
            raise self._unreachable() from None
        if response.status_code != _OK:
            raise self._refused(response.status_code, _PERMISSION)
        try:
            return msgspec.json.decode(response.content, type=_Answer).value
        except (msgspec.MsgspecError, ValueError):
            raise self._garbled() from None
