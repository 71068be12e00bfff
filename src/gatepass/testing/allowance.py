"""What a client may have of what it asks for: scopes (RFC 6749 §3.3) and resources (RFC 8707 §2)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from gatepass.testing.refusal import Refusal

if TYPE_CHECKING:
    from gatepass.testing.authorization_server import AuthorizationServer
    from gatepass.testing.clients import Client
    from gatepass.testing.forms import Form
    from gatepass.testing.grant import Grant

__all__ = ["granted_audience", "granted_scopes", "narrowed", "require_absolute", "resources_named", "split_scope"]

SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^#\s]+")


def granted_scopes(server: AuthorizationServer, client: Client, scope: str | None) -> tuple[str, ...]:
    """What is asked for, all of it or nothing; without a request, the default (RFC 6749 §3.3)."""
    allowed = client.scopes if client.scopes is not None else server.scopes
    if scope is None:
        return client.default_scopes if client.default_scopes is not None else allowed or ()
    wanted = split_scope(scope)
    if allowed is not None and not set(wanted) <= set(allowed):
        raise Refusal("invalid_scope", "the client may not have all of these scopes")
    return wanted


def granted_audience(server: AuthorizationServer, client: Client, resources: tuple[str, ...]) -> tuple[str, ...]:
    """The resources that a token is for (RFC 8707 §2)."""
    _check_presence(server, resources)
    for resource in resources:
        require_absolute(resource)
        known = server.resources is None or resource in server.resources
        if not known or (client.resources is not None and resource not in client.resources):
            raise Refusal("invalid_target", "the resource is unknown, or not for this client")
    return resources or (server.default_resource or server.issuer,)


def resources_named(server: AuthorizationServer, form: Form) -> tuple[str, ...]:
    """What a token request says that the token is for, where this server looks for it."""
    match server.resource:
        case "ignored":
            return ()
        case "audience":
            return (form["audience"],) if "audience" in form else ()
        case _:
            return form.resources


def narrowed(server: AuthorizationServer, grant: Grant, form: Form, *, scope: str | None) -> Grant:
    """A grant, or the part of it that is asked for: never more than it was (RFC 6749 §6, RFC 8707 §2.2)."""
    _check_presence(server, form.resources)
    scopes = grant.scopes if scope is None else split_scope(scope)
    if not set(scopes) <= set(grant.scopes):
        raise Refusal("invalid_scope", "more is asked for than was granted")
    if not set(form.resources) <= set(grant.audience):
        raise Refusal("invalid_target", "the grant is not for this resource")
    return replace(grant, scopes=scopes, audience=form.resources or grant.audience)


def split_scope(scope: str) -> tuple[str, ...]:
    """The scopes in a ``scope`` parameter, each once."""
    if not SCOPE.fullmatch(scope):
        raise Refusal("invalid_scope", "the scope is malformed")
    return tuple(dict.fromkeys(scope.split(" ")))


def require_absolute(resource: str) -> None:
    """RFC 8707 §2."""
    if not ABSOLUTE_URI.fullmatch(resource):
        raise Refusal("invalid_target", "resource is not an absolute URI without a fragment")


def _check_presence(server: AuthorizationServer, resources: tuple[str, ...]) -> None:
    if server.resource == "refused" and resources:
        raise Refusal("invalid_request", "resource is not a parameter of this server")
    if server.resource == "required" and not resources:
        raise Refusal("invalid_target", "resource is missing")
