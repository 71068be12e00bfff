"""GitLab CI: an ID token that stands in a variable, with the audience that .gitlab-ci.yml gives it."""

from __future__ import annotations

import os
from typing import ClassVar

from gatepass.client_auth.base import check_text
from gatepass.errors import ConfigurationError
from gatepass.identity.base import Platform
from gatepass.identity.machine import any_set

__all__ = ["GitLabCI"]


class GitLabCI(Platform, frozen=True):
    """An ID token of a GitLab CI job.

    Here: ``GITLAB_CI`` is set.

    Arguments:
        variable: the name under ``id_tokens`` in .gitlab-ci.yml, where its ``aud`` is the authorization server.
    """

    name: ClassVar[str] = "GitLab CI"

    variable: str = "GATEPASS_ID_TOKEN"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self.variable, field="variable")

    def here(self) -> bool:
        """Whether this is a job of GitLab CI."""
        return any_set("GITLAB_CI")

    def _fetch(self, audience: str) -> object:
        token = os.environ.get(self.variable)
        if token:
            return token
        msg = f"{self.variable} is not set. In .gitlab-ci.yml: `id_tokens: {{{self.variable}: {{aud: {audience}}}}}`."
        raise ConfigurationError(msg, code="workload_token_missing")
