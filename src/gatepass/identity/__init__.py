"""Where a workload's own JWT comes from (SEP-1933, RFC 7523 §2.1): one file a platform.

The names are imported when they are first used, and a platform's library when it is first asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.core.lazy import lazily

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

_ROOMS = {
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

__getattr__ = lazily(__name__, _ROOMS)


def __dir__() -> list[str]:
    return __all__
