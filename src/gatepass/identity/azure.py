"""Azure: the managed identity's token by azure-identity, or the federated token that AKS projects into a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from gatepass.client_auth.base import check_text
from gatepass.identity.base import Platform, hush, library
from gatepass.identity.machine import any_set, firmware, token_file

if TYPE_CHECKING:
    from gatepass.errors import GatepassError

__all__ = ["AzureManagedIdentity", "AzureWorkload"]

_OK = 200
_TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105 - the name of a variable
_ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"
"""On every virtual machine of Azure."""

hush("azure.identity._internal.decorators", "azure.identity._internal.msal_managed_identity_client")
hush("azure.identity._internal.get_token_mixin", "msal.managed_identity")


class AzureManagedIdentity(Platform, frozen=True):
    """A token of Microsoft Entra for the managed identity: virtual machines, App Service, Functions, AKS, Arc.

    The audience is the resource that Entra makes the token for, and must be the ID (URI) of an application there. The
    ``aud`` of the token may be that application's client id instead, so the two are not compared.

    Here: ``AZURE_POD_IDENTITY_AUTHORITY_HOST``, ``IDENTITY_ENDPOINT``, ``MSI_ENDPOINT`` or
    ``AZURE_FEDERATED_TOKEN_FILE`` is set, or the firmware is Azure's.

    Arguments:
        client_id: the client id of a user-assigned identity, where there are several.
    """

    name: ClassVar[str] = "Azure managed identity"

    client_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.client_id is not None:
            check_text(self.client_id, field="client_id")

    def here(self) -> bool:
        """Whether something says that this is Azure."""
        variables = "AZURE_POD_IDENTITY_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "MSI_ENDPOINT", _TOKEN_FILE
        return any_set(*variables) or firmware("chassis_asset_tag") == _ASSET_TAG

    def _names(self, aud: list[str], audience: str) -> bool:  # noqa: ARG002 - see above
        return bool(aud)

    def _fetch(self, audience: str) -> object:
        azure = library("azure.identity", extra="azure")
        problems = library("azure.core.exceptions", extra="azure")
        statuses: list[int] = []

        def note(response: Any) -> None:
            statuses.append(response.http_response.status_code)

        with azure.ManagedIdentityCredential(
            client_id=self.client_id,
            connection_timeout=self.timeout_s,
            read_timeout=self.timeout_s,
            retry_total=0,  # it would try for more than a minute, but when to come back is not its choice
            raw_response_hook=note,
        ) as credential:
            try:
                return credential.get_token(f"{audience}/.default").token
            except (problems.AzureError, ValueError):
                raise self._problem(audience, statuses) from None

    def _problem(self, audience: str, statuses: list[int]) -> GatepassError:
        """What was wrong, by the status: an error of azure-identity says "unavailable", whatever happened."""
        if not statuses:
            return self._unreachable()
        if statuses[-1] == _OK:
            return self._garbled()
        hint = f"See that the machine has this identity, and that {audience} is an application of its directory."
        return self._refused(statuses[-1], hint)


class AzureWorkload(Platform, frozen=True):
    """The federated token that AKS projects into a file, used as it is.

    Its audience is ``api://AzureADTokenExchange`` unless the cluster sets another: whoever gets it may become the
    workload at Entra. So it is given away for that audience only, and `Ambient` leaves it out.

    Here: ``AZURE_FEDERATED_TOKEN_FILE`` is set.
    """

    name: ClassVar[str] = "Azure workload identity"

    def here(self) -> bool:
        """Whether a federated token is projected."""
        return any_set(_TOKEN_FILE)

    def _fetch(self, audience: str) -> object:  # noqa: ARG002 - the cluster has chosen it
        return token_file(os.environ[_TOKEN_FILE])
