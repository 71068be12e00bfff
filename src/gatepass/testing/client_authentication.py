"""How the authorization server makes sure who is asking: RFC 6749 §2.3, 7523 §3, 8705 §2, one method at a time."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote_plus

from gatepass.testing.assertions import normal_typ, texts, time_fault
from gatepass.testing.jose import InvalidJwtError, read_header, unverified_claims, verified_claims
from gatepass.testing.refusal import Refusal
from gatepass.testing.tls import certificate_has_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepass.testing.clients import Client
    from gatepass.testing.forms import Form

__all__ = ["ASSERTION_TYPE", "AssertionAudience", "AssertionRules", "ClientAuthenticator", "method_used"]

AssertionAudience = Literal["issuer", "token_endpoint", "lenient"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_TYPS = (None, "jwt", "client-authentication+jwt")
CHALLENGE = 'Basic realm="token endpoint"'
FORM_ENCODED = re.compile(r"(?:[A-Za-z0-9*._~+-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionRules:
    """What an assertion must be like (RFC 7523 §3).

    Attributes:
        issuer: the authorization server's issuer identifier.
        token_endpoint: its token endpoint.
        audience: ``"issuer"``: ``aud`` is the issuer, as one string. ``"token_endpoint"``: it is that, likewise.
            ``"lenient"``: it is, or is a list with, one of the two.
        algorithms: the algorithms allowed.
        max_life_s: how far ahead ``exp`` may be.
    """

    issuer: str
    token_endpoint: str
    audience: AssertionAudience
    algorithms: tuple[str, ...]
    max_life_s: float


@dataclass(slots=True)
class ClientAuthenticator:
    """Finds the client behind a request, and remembers every ``jti`` it saw."""

    clients: Mapping[str, Client]
    now: Callable[[], float]
    _seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def authenticate(
        self, authorization: str | None, form: Form, certificate: bytes | None, rules: AssertionRules
    ) -> Client:
        """The client that the request comes from.

        Args:
            authorization: the ``Authorization`` header.
            form: the body.
            certificate: what the client showed when it connected.
            rules: what an assertion must be like.

        Raises:
            Refusal: ``invalid_client``, or ``invalid_request`` when more than one method is used at once.
        """
        method = method_used(authorization, form)
        if authorization is not None:
            client = self._basic(authorization, form)
        elif method == "client_secret_post":
            client = self._secret(form.get("client_id"), form.get("client_secret"), None)
        elif method == "private_key_jwt":
            client = self._assertion(form, rules)
        else:
            client = self._known(form.get("client_id"), None)
            method = _certified(client, certificate)
        if method not in client.methods:
            challenge = CHALLENGE if authorization is not None else None
            raise _refused(f"the client is not registered for {method}", challenge)
        return client

    def _basic(self, authorization: str, form: Form) -> Client:
        """RFC 6749 §2.3.1: both halves are form-urlencoded before they are joined."""
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise _refused("the Authorization header is not HTTP Basic", CHALLENGE)
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            decoded = ""
        encoded_id, colon, encoded_secret = decoded.partition(":")
        if not colon or not (FORM_ENCODED.fullmatch(encoded_id) and FORM_ENCODED.fullmatch(encoded_secret)):
            raise _refused("HTTP Basic does not hold a form-urlencoded client id and secret", CHALLENGE)
        try:
            client_id = unquote_plus(encoded_id, errors="strict")
            secret = unquote_plus(encoded_secret, errors="strict")
        except UnicodeDecodeError:
            client_id = secret = ""
        if form.get("client_id", client_id) != client_id:
            raise Refusal("invalid_request", "client_id in the body is not the one in HTTP Basic")
        return self._secret(client_id, secret, CHALLENGE)

    def _secret(self, client_id: str | None, secret: str | None, challenge: str | None) -> Client:
        client = self._known(client_id, challenge)
        if client.secret is None or not hmac.compare_digest(client.secret.encode(), (secret or "").encode()):
            raise _refused("the client secret is wrong", challenge)
        return client

    def _assertion(self, form: Form, rules: AssertionRules) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refusal("invalid_request", "client_assertion_type is missing or unknown")
        assertion = form.get("client_assertion")
        if assertion is None:
            raise Refusal("invalid_request", "client_assertion is missing")
        try:
            subject = unverified_claims(assertion).get("sub")
            client = self._known(subject if isinstance(subject, str) else None, None)
            claims = verified_claims(assertion, client.keys, rules.algorithms)
        except InvalidJwtError as error:
            raise _refused(f"the assertion is refused: {error}", None) from None
        if form.get("client_id", client.client_id) != client.client_id:
            raise _refused("client_id is not the subject of the assertion", None)
        fault = (
            _typ_fault(read_header(assertion))
            or _claims_fault(claims, client, rules, self.now())
            or self._replay_fault(claims, client)
        )
        if fault is not None:
            raise _refused(f"the assertion is refused: {fault}", None)
        return client

    def _replay_fault(self, claims: Mapping[str, object], client: Client) -> str | None:
        token_id = claims.get("jti")
        if not isinstance(token_id, str) or not token_id:
            return "jti is missing"
        if (client.client_id, token_id) in self._seen:
            return "jti was used before"
        self._seen.add((client.client_id, token_id))
        return None

    def _known(self, client_id: str | None, challenge: str | None) -> Client:
        client = self.clients.get(client_id or "")
        if client is None:
            raise _refused("the client is unknown" if client_id else "no client is named", challenge)
        return client


def method_used(authorization: str | None, form: Form) -> str:
    """The way in which a request authenticates its client; there may be one only (RFC 6749 §2.3)."""
    assertion = "client_assertion" in form or "client_assertion_type" in form
    used = [
        *(["client_secret_basic"] if authorization is not None else []),
        *(["client_secret_post"] if "client_secret" in form else []),
        *(["private_key_jwt"] if assertion else []),
    ]
    if len(used) > 1:
        raise Refusal("invalid_request", f"more than one way of client authentication: {', '.join(used)}")
    return used[0] if used else "none"


def _certified(client: Client, certificate: bytes | None) -> str:
    """The method of a client that sends no credential: its certificate is one, if it registered one (RFC 8705 §2)."""
    if client.certificate is None and client.certificate_subject is None:
        return "none"
    if certificate is None:
        raise _refused("no client certificate was shown", None)
    if certificate == client.certificate:
        return "self_signed_tls_client_auth"
    if client.certificate_subject and certificate_has_subject(certificate, client.certificate_subject):
        return "tls_client_auth"
    raise _refused("the client certificate is another", None)


def _typ_fault(header: Mapping[str, object]) -> str | None:
    return None if normal_typ(header) in ASSERTION_TYPS else "typ is neither JWT nor client-authentication+jwt"


def _claims_fault(claims: Mapping[str, object], client: Client, rules: AssertionRules, now: float) -> str | None:
    """What is wrong with the claims (RFC 7523 §3), None if nothing is."""
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        return "iss and sub are not both the client id"
    if not _audience_fits(claims.get("aud"), rules):
        wanted = "the token endpoint" if rules.audience == "token_endpoint" else "the issuer"
        return f"aud is not {wanted}" + ("" if rules.audience == "lenient" else " as one string")
    return time_fault(claims, now=now, max_life_s=rules.max_life_s)


def _audience_fits(audience: object, rules: AssertionRules) -> bool:
    match rules.audience:
        case "issuer":
            return audience == rules.issuer
        case "token_endpoint":
            return audience == rules.token_endpoint
        case "lenient":
            return bool({rules.issuer, rules.token_endpoint} & set(texts(audience)))


def _refused(description: str, challenge: str | None) -> Refusal:
    return Refusal("invalid_client", description, status=401, challenge=challenge)
