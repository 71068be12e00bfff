"""Every way to prove who one is, made of canaries."""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode

import key_material
from security.leak_detector import Canary

import gatepass

CLIENT_ID = "ci-bot"


class Identity:
    """A client and the secrets that it is made of."""

    def __init__(self, client, *canaries):
        self.client = client
        self.canaries = canaries


def new_secret():
    """A client secret with characters that each encoding changes."""
    core = secrets.token_hex(16)
    return Canary(f"s+/%: &{core}", core)


def new_key(password=None):
    """A private key in PEM: its lines are secret one by one."""
    kind = "P-256"
    text = key_material.MAKERS[kind]().private_bytes(*_form(password)).decode()
    return Canary(text, *(line for line in text.splitlines() if len(line) > 40 and "-----" not in line))


def _form(password):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    lock = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return Encoding.PEM, PrivateFormat.PKCS8, lock


def new_assertion(**claims):
    """A ready-made JWT: whoever has it, or its signature and the public rest, is the client."""
    claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "exp": int(time.time()) + 60, "jti": secrets.token_hex(16), **claims}
    parts = [
        _encoded({"alg": "ES256"}),
        _encoded(claims),
        urlsafe_b64encode(secrets.token_bytes(64)).decode().rstrip("="),
    ]
    return Canary(".".join(parts), *parts[1:])


def _encoded(members):
    return urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


def new_jwk():
    """A private key as a JWK, and its secret number."""
    made = key_material.jwk("P-256", number=secrets.randbits(30))
    return made, Canary(made["d"])


def basic(_directory, _environment):
    secret = new_secret()
    return Identity(gatepass.ClientSecret(CLIENT_ID, secret.value, "client_secret_basic"), secret)


def raw_basic(_directory, _environment):
    secret = new_secret()
    return Identity(gatepass.ClientSecret(CLIENT_ID, secret.value, "client_secret_basic", raw_basic=True), secret)


def post(_directory, _environment):
    secret = new_secret()
    return Identity(gatepass.ClientSecret(CLIENT_ID, secret.value, "client_secret_post"), secret)


def from_the_environment(_directory, environment):
    secret = new_secret()
    environment.setenv("CI_BOT_SECRET", secret.value)
    return Identity(gatepass.ClientSecret(CLIENT_ID, gatepass.Secret.env("CI_BOT_SECRET")), secret)


def from_a_file(directory, _environment):
    secret = new_secret()
    (directory / "secret").write_text(secret.value)
    return Identity(gatepass.ClientSecret(CLIENT_ID, gatepass.Secret.file(directory / "secret")), secret)


def from_a_command(directory, _environment):
    secret = new_secret()
    (directory / "secret").write_text(secret.value)
    command = gatepass.Secret.command(["cat", str(directory / "secret")])
    return Identity(gatepass.ClientSecret(CLIENT_ID, command, "client_secret_post"), secret)


def key_text(_directory, _environment):
    key = new_key()
    return Identity(gatepass.PrivateKeyJwt(CLIENT_ID, key.value), key)


def key_file(directory, _environment):
    key = new_key()
    (directory / "key.pem").write_text(key.value)
    return Identity(gatepass.PrivateKeyJwt(CLIENT_ID, directory / "key.pem"), key)


def encrypted_key(_directory, _environment):
    password = new_secret()
    key = new_key(password.value)
    return Identity(gatepass.PrivateKeyJwt(CLIENT_ID, key.value.encode(), password=password.value), key, password)


def key_as_jwk(_directory, _environment):
    made, number = new_jwk()
    return Identity(gatepass.PrivateKeyJwt(CLIENT_ID, made), number)


def ready_made(_directory, _environment):
    assertion = new_assertion()
    return Identity(gatepass.ClientAssertion(CLIENT_ID, assertion.value), assertion)


def ready_made_file(directory, _environment):
    assertion = new_assertion()
    (directory / "jwt").write_text(assertion.value)
    return Identity(gatepass.ClientAssertion(CLIENT_ID, gatepass.Secret.file(directory / "jwt")), assertion)


def callable_source(_directory, _environment):
    assertion = new_assertion()
    return Identity(gatepass.ClientAssertion(CLIENT_ID, lambda _audience: assertion.value), assertion)


def asynchronous_source(_directory, _environment):
    assertion = new_assertion()

    async def source(_audience):
        return assertion.value

    return Identity(gatepass.ClientAssertion(CLIENT_ID, source), assertion)


IDENTITIES = (
    basic, raw_basic, post, from_the_environment, from_a_file, from_a_command, key_text, key_file, encrypted_key,
    key_as_jwk, ready_made, ready_made_file, callable_source, asynchronous_source,
)  # fmt: skip
