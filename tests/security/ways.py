"""Every way in and every key that tokens are bound to, made of canaries."""

from __future__ import annotations

import secrets
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from security.identities import CLIENT_ID, new_assertion, new_jwk, new_key, new_secret
from security.leak_detector import Canary

import gatepass
from gatepass.identity import Ambient, GitLabCI, KubernetesToken


class Way:
    """A way in, and the secrets that the user gave for it, which belong into no store."""

    def __init__(self, profile, *canaries, person=None):
        self.profile = profile
        self._canaries = canaries
        self._person = person

    @property
    def canaries(self):
        """Those of the user, and what a person brought."""
        return [*self._canaries, *(self._person.canaries if self._person else ())]


class Person:
    """Says yes, and comes back with a code that is a canary, as `state` is, until its request is answered.

    Args:
        answer: how they come back: a function of the URL that would be right.
    """

    def __init__(self, answer=lambda url: url):
        self._answer = answer
        self.canaries = []

    def __reduce__(self):
        """Nothing: what a test remembers of a person is no leak of the program's."""
        return Person, ()

    def __call__(self, url):
        asked = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe(32)
        self.canaries += [Canary(code), Canary(asked["state"])]
        server = urlsplit(url)
        said = {"code": code, "state": asked["state"], "iss": f"{server.scheme}://{server.netloc}"}
        return self._answer(f"{asked['redirect_uri']}?{urlencode(said)}")


def at_the_listener(url):
    """Comes back through the listener, after somebody who guesses, and returns nothing to the program."""
    for guess in (url.partition("?")[0], urlsplit(url)._replace(path="/").geturl(), url.replace("state=", "state=x")):
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(guess)
        refused.value.close()
    with urllib.request.urlopen(url) as page:
        page.read()


# A workload: where its JWT stands.


def in_a_text(place, _given, _environment):
    jwt = new_assertion(aud=place.origin)
    return Way(gatepass.WorkloadIdentity(jwt.value, subject="the build"), jwt)


def in_a_file(place, given, _environment):
    jwt = new_assertion(aud=place.origin)
    (given / "jwt").write_text(jwt.value)
    return Way(gatepass.WorkloadIdentity(gatepass.Secret.file(given / "jwt"), subject="the build"), jwt)


def in_the_environment(place, _given, environment):
    jwt = new_assertion(aud=place.origin)
    environment.setenv("WORKLOAD_JWT", jwt.value)
    return Way(gatepass.WorkloadIdentity(gatepass.Secret.env("WORKLOAD_JWT"), subject="the build"), jwt)


def from_a_program(place, given, _environment):
    jwt = new_assertion(aud=place.origin)
    (given / "jwt").write_text(jwt.value)
    return Way(
        gatepass.WorkloadIdentity(gatepass.Secret.command(["cat", str(given / "jwt")]), subject="the build"), jwt
    )


def from_a_function(place, _given, _environment):
    jwt = new_assertion(aud=place.origin)
    return Way(gatepass.WorkloadIdentity(lambda _audience: jwt.value, subject="the build"), jwt)


def from_an_asynchronous_function(place, _given, _environment):
    jwt = new_assertion(aud=place.origin)

    async def source(_audience):
        return jwt.value

    return Way(gatepass.WorkloadIdentity(source, subject="the build"), jwt)


def from_a_pipeline(place, _given, environment):
    jwt = new_assertion(aud=place.origin)
    environment.setenv("GITLAB_CI", "true")
    environment.setenv("GATEPASS_ID_TOKEN", jwt.value)
    return Way(gatepass.WorkloadIdentity(Ambient(GitLabCI()), subject="the build"), jwt)


def from_a_pod_with_a_client(place, given, _environment):
    jwt, secret = new_assertion(aud=place.origin), new_secret()
    (given / "jwt").write_text(jwt.value)
    client = gatepass.ClientSecret(CLIENT_ID, secret.value, "client_secret_post")
    source = KubernetesToken(path=given / "jwt")
    return Way(gatepass.WorkloadIdentity(source, client=client, subject="the build"), jwt, secret)


# A user of an enterprise: who the user is.


def _enterprise(place, subject_token, *canaries, **options):
    own, at_the_idp = new_secret(), new_secret()
    profile = gatepass.EnterpriseAuthorization(
        gatepass.ClientSecret(CLIENT_ID, own.value),
        idp=gatepass.IdentityProvider(place.origin, gatepass.ClientSecret("at the idp", at_the_idp.value)),
        subject_token=subject_token,
        subject="alice",
        **options,
    )
    return Way(profile, own, at_the_idp, *canaries)


def by_an_id_token(place, _given, _environment):
    identity = new_assertion(aud="at the idp")
    return _enterprise(place, identity.value, identity)


def by_an_id_token_in_a_file(place, given, _environment):
    identity = new_assertion(aud="at the idp")
    (given / "id-token").write_text(identity.value)
    return _enterprise(place, gatepass.Secret.file(given / "id-token"), identity)


def by_a_function_that_gets_an_id_token(place, _given, _environment):
    identity = new_assertion(aud="at the idp")
    return _enterprise(place, lambda _client_id: identity.value, identity)


def by_a_saml_assertion(place, _given, _environment):
    identity = new_secret()
    return _enterprise(place, identity.value, identity, subject_token_type="saml2")


# A person: what the program is to the server.


def unknown_before(_place, _given, _environment):
    person = Person()
    return Way(gatepass.AuthorizationCode(ask=person, subject="alice"), person=person)


def seen_by_the_listener(_place, _given, _environment):
    person = Person(at_the_listener)
    return Way(gatepass.AuthorizationCode(ask=person, subject="alice", timeout_s=10), person=person)


def asked_asynchronously(_place, _given, _environment):
    person = Person()

    async def ask(url):
        return person(url)

    return Way(gatepass.AuthorizationCode(CLIENT_ID, ask=ask, subject="alice"), person=person)


def known_by_a_secret(_place, _given, _environment):
    person, secret = Person(), new_secret()
    client = gatepass.ClientSecret(CLIENT_ID, secret.value, "client_secret_post")
    return Way(gatepass.AuthorizationCode(client, ask=person, subject="alice"), secret, person=person)


def known_by_a_key(_place, _given, _environment):
    person, key = Person(), new_key()
    client = gatepass.PrivateKeyJwt(CLIENT_ID, key.value)
    return Way(gatepass.AuthorizationCode(client, ask=person, subject="alice"), key, person=person)


def machine(_place, _given, _environment):
    secret = new_secret()
    return Way(gatepass.ClientCredentials(gatepass.ClientSecret(CLIENT_ID, secret.value)), secret)


WAYS = {
    machine: ("client_credentials",),
    **dict.fromkeys(
        (in_a_text, in_a_file, in_the_environment, from_a_program, from_a_function, from_an_asynchronous_function,
         from_a_pipeline, from_a_pod_with_a_client),
        ("jwt-bearer",),
    ),
    **dict.fromkeys(
        (by_an_id_token, by_an_id_token_in_a_file, by_a_function_that_gets_an_id_token, by_a_saml_assertion),
        ("token-exchange", "jwt-bearer"),
    ),
    **dict.fromkeys((unknown_before, seen_by_the_listener), ("register", "authorization_code")),
    **dict.fromkeys((asked_asynchronously, known_by_a_secret, known_by_a_key), ("authorization_code",)),
}  # fmt: skip
"""Each way, and the steps that are its own. Those that all have in common come later: see `LATER`."""

LATER = ("refresh_token", "revoke")


# What tokens are bound to.


def nothing(_given):
    return {}, ()


def key_text(_given):
    key = new_key()
    return {"dpop": key.value}, (key,)


def key_file(given):
    key = new_key()
    (given / "dpop.pem").write_text(key.value)
    return {"dpop": given / "dpop.pem"}, (key,)


def key_as_jwk(_given):
    made, number = new_jwk()
    return {"dpop": made}, (number,)


def made_here(_given):
    return {"dpop": True}, ()


BINDINGS = (key_text, key_file, key_as_jwk, made_here)
