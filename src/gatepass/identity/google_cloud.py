"""Google Cloud: an identity token from the metadata server, by google-auth."""

from __future__ import annotations

from typing import Any, ClassVar

from gatepass.identity.base import Platform, hush, library
from gatepass.identity.machine import any_set, firmware

__all__ = ["GoogleCloud"]

_OK = 200
_VARIABLES = ("GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB")
_FLAVOR = "Metadata-Flavor"
_ACCOUNT = "See that a service account is attached to this machine, service or pod."

hush("google.auth.transport.requests")


class GoogleCloud(Platform, frozen=True):
    """The identity token of the attached service account: Compute Engine, GKE, Cloud Run and the like.

    Here: ``GCE_METADATA_HOST``, ``K_SERVICE`` or ``CLOUD_RUN_JOB`` is set, or the firmware is Google's.
    """

    name: ClassVar[str] = "Google Cloud"

    def here(self) -> bool:
        """Whether something says that this is Google Cloud."""
        return any_set(*_VARIABLES) or firmware("product_name").startswith("Google")

    def _fetch(self, audience: str) -> object:
        compute_engine = library("google.auth.compute_engine", extra="gcp")
        transport = library("google.auth.transport.requests", extra="gcp")
        problems = library("google.auth.exceptions", extra="gcp")
        with library("requests", extra="gcp").Session() as session:
            session.trust_env = False  # no proxy stands between a machine and its metadata
            request = transport.Request(session)

            def once(url: str, method: str = "GET", **more: Any) -> Any:
                """Send a request once: google-auth would try five times, but when to come back is not its choice."""
                try:
                    response = request(url, method, **{**more, "timeout": self.timeout_s})
                except problems.TransportError:
                    raise self._unreachable() from None
                if response.status != _OK:
                    raise self._refused(response.status, _ACCOUNT)
                if response.headers.get(_FLAVOR) != "Google":  # a page of somebody in between
                    raise self._garbled()
                return response

            credentials = compute_engine.IDTokenCredentials(None, audience, use_metadata_identity_endpoint=True)
            try:
                credentials.refresh(once)
            except (ValueError, LookupError, TypeError, RecursionError):  # it has looked into the JWT
                raise self._invalid() from None
            return credentials.token
