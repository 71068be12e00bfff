"""Platforms that put a token where the workload finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from identity.stand_ins.place import Makes, Place
from identity.stand_ins.tokens import AUDIENCE

from gatepass.identity import AzureWorkload, GitLabCI, KubernetesToken, Platform


class Kept(Place):
    """Nobody asks such a platform: it has decided for whom the token is."""

    def __init__(self, environment: pytest.MonkeyPatch, directory: Path) -> None:
        super().__init__()
        self.environment = environment
        self.file = directory / "token"
        self.give(self.makes)

    def give(self, makes: Makes) -> None:
        super().give(makes)
        self.put(self.token(AUDIENCE) + "\n")

    def put(self, content: str) -> None:
        """Put the token where the workload finds it."""
        self.file.write_text(content)


class GitLab(Kept):
    kind = GitLabCI

    def put(self, content: str) -> None:
        self.environment.setenv("GITLAB_CI", "true")
        self.environment.setenv("GATEPASS_ID_TOKEN", content.rstrip())


class Kubelet(Kept):
    kind = KubernetesToken

    def source(self, *, timeout_s: float = 30.0) -> Platform:
        return KubernetesToken(self.file, timeout_s=timeout_s)


class Aks(Kept):
    kind = AzureWorkload

    def put(self, content: str) -> None:
        super().put(content)
        self.environment.setenv("AZURE_FEDERATED_TOKEN_FILE", str(self.file))
