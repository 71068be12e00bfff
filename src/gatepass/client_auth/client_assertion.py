"""A client that is given its proof: a ready-made JWT, such as a workload identity token (RFC 7521 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepass.client_auth.assertion import (
    Source,
    as_source,
    assertion_audience,
    assertion_credentials,
    read_assertion,
    source_secrets,
)
from gatepass.client_auth.base import check_text, offered_method, shown
from gatepass.errors import ConfigurationError

if TYPE_CHECKING:
    from gatepass.client_auth.base import Credentials
    from gatepass.core.secret import Secret
    from gatepass.core.world import AssertionSource, World
    from gatepass.protocol.server import ServerMetadata

__all__ = ["ClientAssertion"]


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class ClientAssertion:
    """A client that proves itself with a JWT made by somebody else.

    Arguments:
        client_id: the client identifier; always sent, because the JWT's subject may be another.
        source: the JWT; a `Secret` that refers to it, such as ``Secret.file(path)``; one of `gatepass.identity`; or a
            callable, plain or async, that gets the audience and returns one.
        audience: whom it must be for, and what a callable is told: ``"issuer"``, ``"token_endpoint"``, or any other
            text, verbatim.
        subject: for whom the JWT speaks, where several workloads or users share one client id. It tells their kept
            tokens apart: without it, all JWTs of a client id are taken to speak for the client itself.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    client_id: str
    source: Source
    audience: str
    subject: str | None

    def __init__(
        self, client_id: str, source: AssertionSource, *, audience: str = "issuer", subject: str | None = None
    ) -> None:
        kind, masked = type(source).__name__, as_source(source)
        del source  # so that no frame of a later error holds it in the clear
        if masked is None:
            msg = f"source must be a JWT, a Secret or a callable, not {kind}."
            raise ConfigurationError(msg, code="source_invalid")
        object.__setattr__(self, "client_id", check_text(client_id, field="client_id"))
        object.__setattr__(self, "source", masked)
        object.__setattr__(self, "audience", check_text(audience, field="audience"))
        object.__setattr__(self, "subject", None if subject is None else check_text(subject, field="subject"))

    @property
    def identity(self) -> tuple[str, ...]:
        """The kind of method, the client id and the subject."""
        return ("client_assertion", self.client_id, *(() if self.subject is None else (self.subject,)))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The JWT, where it does not come from a callable."""
        return source_secrets(self.source)

    def __repr__(self) -> str:
        return shown(self, "client_id", "audience", "subject")

    def choose(self, server: ServerMetadata) -> str:
        """``private_key_jwt``: to the server, it makes no difference who signed.

        Raises:
            ConfigurationError: the server does not offer it (code ``method_not_offered``).
        """
        return offered_method(server, "private_key_jwt")

    def authenticate(self, world: World, server: ServerMetadata) -> Credentials:
        """The JWT from its source, read anew for each token request.

        Raises:
            ConfigurationError: the server does not offer the method (code ``method_not_offered``), the JWT has expired
                (``assertion_expired``), is for somebody else (``workload_token_audience``), or is none
                (``assertion_invalid``).
        """
        self.choose(server)
        assertion = read_assertion(world, self.source, assertion_audience(server, self.audience), field="source")
        return assertion_credentials(assertion.reveal(), client_id=self.client_id)
