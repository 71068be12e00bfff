"""Where a workload's own JWT comes from (SEP-1933, RFC 7523 §2.1): one file a platform.

The names are imported when they are first used, and a platform's library when it is first asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepass.identity.ambient import Ambient
    from gatepass.identity.aws import AwsWebIdentity
    from gatepass.identity.azure import AzureManagedIdentity, AzureWorkload
    from gatepass.identity.base import Platform
    from gatepass.identity.github_actions import GitHubActions
    from gatepass.identity.gitlab_ci import GitLabCI
    from gatepass.identity.google_cloud import GoogleCloud
    from gatepass.identity.kubernetes import KubernetesToken
    from gatepass.identity.spiffe import Spiffe

__all__ = [
    "Ambient",
    "AwsWebIdentity",
    "AzureManagedIdentity",
    "AzureWorkload",
    "GitHubActions",
    "GitLabCI",
    "GoogleCloud",
    "KubernetesToken",
    "Platform",
    "Spiffe",
]

_FILES = {
    "Ambient": "ambient",
    "AwsWebIdentity": "aws",
    "AzureManagedIdentity": "azure",
    "AzureWorkload": "azure",
    "GitHubActions": "github_actions",
    "GitLabCI": "gitlab_ci",
    "GoogleCloud": "google_cloud",
    "KubernetesToken": "kubernetes",
    "Platform": "base",
    "Spiffe": "spiffe",
}


def __getattr__(name: str) -> object:
    file = _FILES.get(name)
    if file is None:
        msg = f"module 'gatepass.identity' has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"gatepass.identity.{file}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
