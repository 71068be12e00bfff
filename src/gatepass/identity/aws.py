"""AWS: a web identity token from STS (GetWebIdentityToken), by boto3."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Literal

from gatepass.client_auth.base import check_text
from gatepass.core.duration import is_duration
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.identity.base import Platform, hush, library
from gatepass.identity.machine import any_set, firmware

__all__ = ["AwsWebIdentity"]

_SHORTEST_S, _LONGEST_S = 60, 3600
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_LAMBDA_FUNCTION_NAME",
)
_HINTS = {
    "AccessDenied": "Allow sts:GetWebIdentityToken in a policy of this role.",
    "OutboundWebIdentityFederationDisabledException": "Enable outbound web identity federation for the account.",
    "SessionDurationEscalationException": "Ask for a token that ends before the session: duration_s=...",
    "ExpiredToken": "The credentials of this workload have expired.",
    "InvalidClientTokenId": "STS does not know the credentials of this workload.",
}
_LATER = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled"}

hush("botocore.auth", "botocore.endpoint", "botocore.parsers", "botocore.utils")


class AwsWebIdentity(Platform, frozen=True):
    """A JWT that AWS STS signs for this workload: EC2, ECS, EKS, Lambda, or wherever variables name credentials.

    The account must have outbound web identity federation enabled, and the role be allowed sts:GetWebIdentityToken.
    The file of ``AWS_WEB_IDENTITY_TOKEN_FILE`` (EKS) serves boto3 as a credential and is never given away itself:
    whoever gets it may assume the role.

    Here: a variable names credentials or a service of AWS, or the firmware is Amazon's.

    Arguments:
        signing_algorithm: ``"ES384"`` or ``"RS256"``.
        duration_s: how long the token is good for, in seconds, from 60 to 3600.
        region: the region whose STS is asked; else ``AWS_REGION``, or what the profile says.
    """

    name: ClassVar[str] = "AWS"

    signing_algorithm: Literal["ES384", "RS256"] = "ES384"
    duration_s: int = 300
    region: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.signing_algorithm not in {"ES384", "RS256"}:
            msg = f"signing_algorithm is {self.signing_algorithm!r}; STS signs with ES384 or RS256."
            raise ConfigurationError(msg, code="signing_algorithm_invalid")
        if not is_duration(self.duration_s, least_s=_SHORTEST_S, most_s=_LONGEST_S):
            msg = f"duration_s is {self.duration_s!r}; STS takes {_SHORTEST_S} to {_LONGEST_S} seconds."
            raise ConfigurationError(msg, code="duration_invalid")
        if self.region is not None:
            check_text(self.region, field="region")

    def here(self) -> bool:
        """Whether something says that this is AWS, or has credentials for it."""
        return any_set(*_CREDENTIALS) or firmware("sys_vendor") == "Amazon EC2"

    def _fetch(self, audience: str) -> object:
        boto3 = library("boto3.session", extra="aws")
        problems = library("botocore.exceptions", extra="aws")
        once = library("botocore.config", extra="aws").Config(
            connect_timeout=self.timeout_s,
            read_timeout=self.timeout_s,
            retries={"total_max_attempts": 1},  # when to come back is not its choice
        )
        region = self.region or os.environ.get("AWS_REGION")  # boto3 itself looks at AWS_DEFAULT_REGION only
        try:
            sts = boto3.Session(region_name=region).client("sts", config=once)
            try:
                answer = sts.get_web_identity_token(
                    Audience=[audience], SigningAlgorithm=self.signing_algorithm, DurationSeconds=int(self.duration_s)
                )
            finally:
                sts.close()
            return answer["WebIdentityToken"]
        except problems.ClientError as problem:
            raise self._no(problem.operation_name, problem.response) from None
        except problems.NoRegionError:
            msg = "STS has to be asked in a region. Set AWS_REGION, or give region=..."
            raise ConfigurationError(msg, code="region_invalid") from None
        except (problems.ConnectionError, problems.HTTPClientError, problems.MetadataRetrievalError):
            raise self._unreachable() from None
        except (library("botocore.parsers", extra="aws").ResponseParserError, KeyError):
            raise self._garbled() from None
        except problems.NoCredentialsError:
            msg = "There are no AWS credentials here. Give this workload a role."
            raise ConfigurationError(msg, code="workload_token_refused") from None

    def _no(self, operation: str, answer: Any) -> GatepassError:
        """What an error of AWS means. Its text is not passed on, its code if it is one of those that are known."""
        code, status = answer["Error"].get("Code"), answer["ResponseMetadata"]["HTTPStatusCode"]
        if code in _LATER:
            msg = f"{self.name} gives no token now: too many were asked for."
            return UnreachableError(msg, code="workload_token_unavailable", status=status, retryable=True)
        if operation != "GetWebIdentityToken":  # boto3 had to get its own credentials first
            return self._refused(status, f"It was {operation} that failed: see to the credentials of this workload.")
        return self._refused(status, f"{code}: {_HINTS[code]}" if code in _HINTS else "CloudTrail may tell why.")
