"""Kubernetes: a service account token that is projected into a file, and renewed there by the kubelet."""

from __future__ import annotations

import os
from typing import ClassVar

from gatepass.client_auth.base import check_text
from gatepass.identity.base import Platform
from gatepass.identity.machine import token_file

__all__ = ["KubernetesToken"]


class KubernetesToken(Platform, frozen=True):
    """A projected service account token, whose audience the pod's volume gives.

    Not the pod's default token: that one is for the API server, and whoever gets it may act for the pod there.

    Here: the file exists.

    Arguments:
        path: where the token is mounted.
    """

    name: ClassVar[str] = "Kubernetes"

    path: str | os.PathLike[str] = "/var/run/secrets/tokens/gatepass"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(os.fspath(self.path) if isinstance(self.path, os.PathLike) else self.path, field="path")

    def here(self) -> bool:
        """Whether the token is mounted."""
        return os.access(self.path, os.F_OK)

    def _fetch(self, audience: str) -> object:  # noqa: ARG002 - the volume has chosen it
        return token_file(os.fspath(self.path))
