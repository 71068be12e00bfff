"""Getting in because a person said yes, once (RFC 6749 §4.1, OAuth 2.1): from then on by refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from gatepass.client_auth.base import ClientAuthentication, check_text, shown
from gatepass.client_auth.public_client import as_client, no_client
from gatepass.core.duration import is_duration
from gatepass.core.world import Contact
from gatepass.errors import ConfigurationError, RemoteError, SignInRequiredError, UnreachableError
from gatepass.grants.authorization_code import check_authorization_endpoint, request_by_code
from gatepass.profiles.base import Traits
from gatepass.protocol.scope import union
from gatepass.protocol.urls import covers, is_http_url, is_loopback
from gatepass.registration import (
    Applicant,
    disown,
    enrolled,
    enrolled_as,
    register,
    registered_redirect_uri,
    start_over,
)

if TYPE_CHECKING:
    from gatepass.core.secret import Secret
    from gatepass.core.world import Ask, World
    from gatepass.grants.errand import Errand
    from gatepass.grants.exchange import Issued
    from gatepass.protocol.server import ServerMetadata

__all__ = ["AuthorizationCode"]

_OFFLINE = "offline_access"
_LONGEST_TIMEOUT_S = 3600.0
_AROUND_S = 10.0
"""What comes before and after the person: metadata, registration, the token request."""


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class AuthorizationCode:
    """The authorization code grant with PKCE, for when a person is there once.

    The system's browser is opened, and a listener on loopback takes the answer (RFC 8252). Where there is no browser,
    a `SignInRequiredError` that holds the URL is raised at once. A token is renewed by its refresh token, for which a
    store that lasts (``store=FileStore()``) spares the person the next start of the program, too.

    Args:
        client: the client, where it is registered at the authorization server already; its id alone for a public one.
            Left out, it becomes known by its metadata document, or registers itself (RFC 7591) and keeps what it gets.
        client_metadata_url: the address of the client's ID metadata document, if it publishes one.
        client_name: what people are shown when the client has registered itself.
        ask: shows the person the URL instead of opening a browser; plain or async, which runs on an event loop of its
            own. It may return the URL that the person was sent back to; if it returns None, or nothing but blanks, the
            listener waits for that.
        redirect_uri: where the person is sent back to, if not to a free port on loopback; sent as it is written.
        offline_access: ask for that scope, too, where the server lists it, so that it issues a refresh token (OpenID
            Connect Core §11). Not by itself: where no scope is asked for, the choice is the server's.
        timeout_s: how long the person may take, in seconds; at most an hour.
        subject: who the person is, in your words. It tells kept tokens apart, and is needed in a shared store.

    Raises:
        ConfigurationError: an argument does not fit; its name stands in the text.
    """

    client: ClientAuthentication | None
    applicant: Applicant
    contact: Contact
    offline_access: bool
    subject: str | None

    def __init__(
        self,
        client: ClientAuthentication | str | None = None,
        *,
        client_metadata_url: str | None = None,
        client_name: str = "gatepass",
        ask: Ask | None = None,
        redirect_uri: str | None = None,
        offline_access: bool = True,
        timeout_s: float = 300.0,
        subject: str | None = None,
    ) -> None:
        kind, known = type(client).__name__, as_client(client)
        missing = client is None
        del client  # a secret, perhaps, which a traceback would show
        if known is None and not missing:
            raise no_client(kind)
        contact = Contact(
            ask=_checked_ask(ask),
            redirect_uri=_checked_redirect(redirect_uri, ask),
            timeout_s=_checked_timeout(timeout_s),
        )
        name = check_text(client_name, field="client_name")
        applicant = Applicant(name=name, metadata_url=_checked_metadata_url(client_metadata_url))
        object.__setattr__(self, "client", known)
        object.__setattr__(self, "applicant", applicant)
        object.__setattr__(self, "contact", contact)
        object.__setattr__(self, "offline_access", offline_access)
        object.__setattr__(self, "subject", None if subject is None else check_text(subject, field="subject"))

    @property
    def identity(self) -> tuple[str, ...]:
        who = self.client.identity if self.client else (self.applicant.metadata_url or "", self.applicant.name)
        return ("authorization_code", self.subject or "", *who)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.client.secrets if self.client else ()

    @property
    def traits(self) -> Traits:
        return Traits(
            subject_missing=self.subject is None,
            portable=self.client is None,
            attended=True,
            patience_s=self.contact.timeout_s + _AROUND_S,
        )

    def __repr__(self) -> str:
        return shown(self, "client", "applicant", "subject")

    def client_of(self, world: World, server: ServerMetadata, client_id: str | None) -> ClientAuthentication | None:
        return self.client or enrolled_as(world, self.applicant, server, client_id)

    def disowned(self, world: World, server: ServerMetadata, client_id: str | None) -> bool:
        if self.client is not None:
            return False
        disown(world, self.applicant, server, client_id)
        return True

    def grant(self, world: World, errand: Errand) -> Issued:
        check_authorization_endpoint(errand)
        server = errand.server
        applicant = msgspec.structs.replace(self.applicant, dpop=errand.proof_key is not None)
        client = self.client or enrolled(world, applicant, server)
        if not errand.awaited:
            msg = f"A person has to sign in at {server.issuer} again; the next call that needs the token will ask."
            raise SignInRequiredError(msg, code="sign_in_required")
        if self.offline_access and errand.scopes and _OFFLINE in (server.scopes_supported or ()):
            errand = msgspec.structs.replace(errand, scopes=union(errand.scopes, (_OFFLINE,)))
        last = registered_redirect_uri(world, applicant, server) if self.client is None else None
        with world.person(msgspec.structs.replace(self.contact, last_redirect_uri=last)) as person:
            moved = last not in (None, person.redirect_uri)  # many servers compare the port, too
            if client is None or (moved and server.registration_endpoint is not None):
                client = register(world, applicant, server, person.redirect_uri)
            try:
                return request_by_code(world, client, errand, person)
            except (RemoteError, UnreachableError) as problem:
                failure = problem.again()
        if failure.error == "invalid_client":
            self.disowned(world, server, client.client_id)
        elif failure.code == "sign_in_timeout" and self.client is None:
            start_over(world, applicant, server)  # who is shown an error page for an unknown client does not return
        raise failure


def _checked_ask(ask: Ask | None) -> Ask | None:
    if ask is None or callable(ask):
        return ask
    msg = f"ask must be a function that is given the URL, not {type(ask).__name__}."
    raise ConfigurationError(msg, code="ask_invalid")


def _checked_redirect(redirect_uri: str | None, ask: object) -> str | None:
    if redirect_uri is None:
        return None
    if not is_http_url(redirect_uri) or "#" in redirect_uri:
        msg = "redirect_uri is no http or https URL without a fragment. Leave it out for a free port on loopback."
        raise ConfigurationError(msg, code="redirect_uri_invalid")
    encrypted = redirect_uri.lower().startswith("https:")
    if not encrypted and not is_loopback(redirect_uri):
        msg = (
            "redirect_uri is not encrypted: whoever is on the way could read the code. Use https, or http on loopback."
        )
        raise ConfigurationError(msg, code="redirect_uri_invalid")
    if encrypted and ask is None:
        msg = (
            "redirect_uri is not http on loopback, where gatepass could listen: give ask=..., too, which returns the "
            "answer."
        )
        raise ConfigurationError(msg, code="redirect_uri_invalid")
    return redirect_uri


def _checked_metadata_url(url: str | None) -> str | None:
    """A client id that is a URL (draft-ietf-oauth-client-id-metadata-document §3): https, with a path and no tricks."""
    if url is None or (is_http_url(url) and url.startswith("https://") and covers(url, url) and urlsplit(url).path[1:]):
        return url
    msg = (
        "client_metadata_url must be an https URL with a path and no fragment, such as https://example.com/client.json."
    )
    raise ConfigurationError(msg, code="client_metadata_url_invalid")


def _checked_timeout(timeout_s: object) -> float:
    if is_duration(timeout_s, most_s=_LONGEST_TIMEOUT_S):
        return timeout_s
    msg = f"timeout_s is {timeout_s!r}; it must be a number of seconds, more than 0 and at most an hour (3600)."
    raise ConfigurationError(msg, code="timeout_invalid")
