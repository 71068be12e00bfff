"""Troubles with who the client is: its id, its secret, its key, and what it is registered for (RFC 6749 §2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepass.testing.gallery.recipe import recipe
from gatepass.testing.trouble import Trouble

if TYPE_CHECKING:
    from gatepass.testing.stage import Stage

__all__ = ["RECIPES"]

_TEN_MINUTES_S = 600.0


@recipe(
    "token_refused",
    fault="configuration",
    error="invalid_client",
    mend="Give the client the id that it is registered with, at this issuer.",
)
def unknown_client(stage: Stage) -> None:
    """The authorization server knows no client of that id."""
    stage.told["client_id"] = "nobody-we-know"
    stage.mend = {"client_id": stage.client.client_id}


@recipe(
    "token_refused",
    fault="configuration",
    error="invalid_client",
    mend="Give the client its secret as it is now; perhaps it was rotated.",
)
def wrong_secret(stage: Stage) -> None:
    """The client's secret is not the one that it is registered with."""
    stage.told["client_secret_file"] = str(stage.write("old.secret", "the secret before it was rotated"))
    stage.mend = {"client_secret_file": str(stage.client.secret_file)}


@recipe(
    "method_not_offered",
    fault="configuration",
    mend="Register a key for the client, and give it that in the place of the secret.",
)
def secret_not_accepted(stage: Stage) -> None:
    """The client has a secret, and the authorization server takes private keys only."""
    stage.authorization_server.methods = ("private_key_jwt",)
    stage.mend = {"private_key_file": str(stage.client.key_file)}


@recipe(fault="server", mend="Nothing has to: the secret is sent in the body.")
def secret_in_the_body_only(stage: Stage) -> None:
    """The authorization server takes secrets in the body only (`client_secret_post`), as its metadata says."""
    stage.allow("client_secret_post")
    stage.authorization_server.methods = ("client_secret_post",)


@recipe(
    "token_refused",
    fault="server",
    error="invalid_client",
    mend="Tell the client to send its secret in the body; or have it registered for `client_secret_basic`.",
)
def basic_not_accepted(stage: Stage) -> None:
    """The authorization server offers `client_secret_basic`, and takes secrets of this client in the body only."""
    stage.allow("client_secret_post")
    stage.mend = {"auth_method": "client_secret_post"}


@recipe(
    "token_refused",
    fault="configuration",
    error="invalid_client",
    mend="Register the public half of the key, or give the client the one that is registered.",
)
def key_not_registered(stage: Stage) -> None:
    """The client signs with a key that the authorization server does not know."""
    stage.tell_key(stage.add_client("another-bot").key_file)
    stage.mend = {"private_key_file": str(stage.client.key_file)}


@recipe(
    "alg_not_offered",
    fault="configuration",
    mend="Make a key of a kind that the server takes (here RSA, for RS256), and register that.",
)
def algorithm_not_offered(stage: Stage) -> None:
    """The authorization server takes no algorithm that the client's key can sign with."""
    stage.tell_key()
    stage.authorization_server.algorithms = ("RS256",)


@recipe(
    "token_refused",
    fault="server",
    error="invalid_client",
    mend="Tell the client to make its assertions out to the token endpoint.",
)
def assertion_audience(stage: Stage) -> None:
    """The authorization server takes assertions that are made out to its token endpoint, not to the issuer."""
    stage.tell_key()
    stage.authorization_server.audience = "token_endpoint"
    stage.mend = {"assertion_audience": "token_endpoint"}


@recipe("token_refused", fault="server", error="invalid_client", mend="Have the clocks set: one of them is wrong.")
def clock_ahead(stage: Stage) -> None:
    """The authorization server's clock is ten minutes ahead, so that assertions have expired when they arrive."""
    stage.tell_key()
    stage.authorization_server.trouble = Trouble(clock_offset_s=_TEN_MINUTES_S)


@recipe("token_refused", fault="server", error="invalid_client", mend="Have the clocks set: one of them is wrong.")
def clock_behind(stage: Stage) -> None:
    """The authorization server's clock is ten minutes behind, so that assertions come out of the future."""
    stage.tell_key()
    stage.authorization_server.trouble = Trouble(clock_offset_s=-_TEN_MINUTES_S)


@recipe(
    "token_refused",
    fault="configuration",
    error="unauthorized_client",
    mend="Have `client_credentials` allowed for the client where it is registered.",
)
def grant_not_allowed(stage: Stage) -> None:
    """The client is registered, but not for client credentials."""
    stage.allow(grants=("authorization_code",))


RECIPES = (
    unknown_client,
    wrong_secret,
    secret_not_accepted,
    secret_in_the_body_only,
    basic_not_accepted,
    key_not_registered,
    algorithm_not_offered,
    assertion_audience,
    clock_ahead,
    clock_behind,
    grant_not_allowed,
)
