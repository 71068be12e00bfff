from __future__ import annotations

import json
import pickle
from pathlib import Path

import jwt as pyjwt
import pytest
from canary import assert_hidden
from key_material import KIND_OF, certificate, jwk, pem, private_key, read_jwt, verifies
from scripted import ScriptedWorld

from gatepass.client_auth.private_key_jwt import PrivateKeyJwt
from gatepass.core.secret import EnvReference, FileReference, Secret
from gatepass.errors import ConfigurationError
from gatepass.keys import parse_private_key, thumbprint, x5t_s256
from gatepass.protocol.server import ServerMetadata

NOW = 1_700_000_000.75
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ISSUER = "https://as.example.com"
TOKEN_ENDPOINT = "https://as.example.com/token"


def server(*, methods=None, algs=None, issuer=ISSUER, token_endpoint=TOKEN_ENDPOINT) -> ServerMetadata:
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=token_endpoint,
        token_endpoint_auth_methods_supported=methods,
        token_endpoint_auth_signing_alg_values_supported=algs,
    )


def assertion(client: PrivateKeyJwt, metadata: ServerMetadata | None = None, world: ScriptedWorld | None = None) -> str:
    credentials = client.authenticate(world or ScriptedWorld(wall=NOW), metadata or server())
    return dict(credentials.form)["client_assertion"]


def header(client: PrivateKeyJwt, metadata: ServerMetadata | None = None) -> dict[str, object]:
    return read_jwt(assertion(client, metadata))[0]


def claims(client: PrivateKeyJwt, metadata: ServerMetadata | None = None) -> dict[str, object]:
    return read_jwt(assertion(client, metadata))[1]


def refused(**arguments: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        PrivateKeyJwt(**{"client_id": "ci-bot", "key": pem("P-256"), **arguments})
    return caught.value


class HeldElsewhere:
    """A signer whose key only cryptography knows."""

    def __init__(self, *algorithms: str) -> None:
        self.algorithms = algorithms
        self.public_jwk = {**jwk("P-256", public=True), "kid": "elsewhere"}

    def sign(self, algorithm: str, data: bytes) -> bytes:
        return parse_private_key(pem("P-256"), None, origin="key").sign("ES256", data)


# what is sent


def test_the_assertion_is_what_rfc_7523_asks_for():
    credentials = PrivateKeyJwt("ci-bot", pem("RSA")).authenticate(ScriptedWorld(wall=NOW), server())
    token = dict(credentials.form)["client_assertion"]
    head, body, data, signature = read_jwt(token)
    assert credentials.form == (("client_assertion_type", TYPE), ("client_assertion", token))
    assert credentials.headers == ()
    assert credentials.hide == (token,)
    assert token not in repr(credentials)
    assert head == {"alg": "RS256", "typ": "JWT"}
    jti = body.pop("jti")
    assert isinstance(jti, str)
    assert len(jti) == 22
    assert body == {"iss": "ci-bot", "sub": "ci-bot", "aud": ISSUER, "iat": 1_700_000_000, "exp": 1_700_000_060}
    assert verifies("RS256", private_key("RSA").public_key(), data, signature)


@pytest.mark.parametrize(("algorithm", "kind"), [*KIND_OF.items()])
def test_every_algorithm_is_accepted_by_an_independent_verifier(algorithm, kind):
    token = assertion(PrivateKeyJwt("ci-bot", pem(kind), algorithm=algorithm))
    head, body, data, signature = read_jwt(token)
    public = private_key(kind).public_key()
    assert head["alg"] == algorithm
    assert verifies(algorithm, public, data, signature)
    if algorithm != "Ed25519":  # PyJWT knows it as EdDSA only
        options = {"verify_exp": False, "require": ["iss", "sub", "aud", "jti", "iat", "exp"]}
        assert pyjwt.decode(token, public, [algorithm], audience=ISSUER, issuer="ci-bot", options=options) == body


def test_each_request_has_a_jwt_id_of_its_own():
    client, world = PrivateKeyJwt("ci-bot", pem("P-256")), ScriptedWorld(wall=NOW)
    ids = {read_jwt(assertion(client, world=world))[1]["jti"] for _ in range(10)}
    assert len(ids) == 10


def test_what_a_server_needs_can_be_set():
    client = PrivateKeyJwt(
        "ci-bot",
        pem("P-256"),
        key_id="k1",
        typ="client-authentication+jwt",
        x5t_s256=x5t_s256(certificate("P-256")),
        lifetime_s=300,
        claims={"tenant": "t1", "nested": {"a": [1]}},
        send_client_id=True,
    )
    form = client.authenticate(ScriptedWorld(wall=NOW), server()).form
    head, body, *_ = read_jwt(dict(form)["client_assertion"])
    assert form[0] == ("client_id", "ci-bot")
    assert head == {
        "alg": "ES256",
        "typ": "client-authentication+jwt",
        "kid": "k1",
        "x5t#S256": x5t_s256(certificate("P-256")),
    }
    assert body["exp"] == body["iat"] + 300
    assert (body["tenant"], body["nested"]) == ("t1", {"a": [1]})


@pytest.mark.parametrize(
    ("audience", "issuer", "expected"),
    [
        ("issuer", ISSUER, ISSUER),
        ("token_endpoint", ISSUER, TOKEN_ENDPOINT),
        ("https://other.example.com/x", ISSUER, "https://other.example.com/x"),
        ("issuer", "", TOKEN_ENDPOINT),
    ],
)
def test_the_audience_is_one_string(audience, issuer, expected):
    assert claims(PrivateKeyJwt("ci-bot", pem("P-256"), audience=audience), server(issuer=issuer))["aud"] == expected


@pytest.mark.parametrize(
    ("own", "options", "expected"),
    [
        (None, {}, None),
        ("jwk-own", {}, "jwk-own"),
        ("jwk-own", {"key_id": "given"}, "given"),
        (None, {"key_id": "given"}, "given"),
        (None, {"thumbprint_key_id": True}, "thumbprint"),
        ("jwk-own", {"thumbprint_key_id": True}, "thumbprint"),
    ],
)
def test_the_key_id_is_the_one_given_or_the_keys_own_or_none(own, options, expected):
    key = jwk("P-256") if own is None else jwk("P-256", kid=own)
    wanted = thumbprint(jwk("P-256", public=True)) if expected == "thumbprint" else expected
    assert header(PrivateKeyJwt("ci-bot", key, **options)).get("kid") == wanted


# where the key comes from


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: pem("P-256"), id="PEM text"),
        pytest.param(lambda: pem("P-256").encode(), id="PEM bytes"),
        pytest.param(lambda: "\n" + pem("P-256"), id="PEM after an empty line"),
        pytest.param(lambda: json.dumps(jwk("P-256")), id="JWK text"),
        pytest.param(lambda: json.dumps(jwk("P-256")).encode(), id="JWK bytes"),
        pytest.param(lambda: jwk("P-256"), id="JWK mapping"),
        pytest.param(lambda: Secret(pem("P-256")), id="Secret"),
        pytest.param(lambda: Secret.env("KEY"), id="environment variable"),
        pytest.param(lambda: Secret.file("ci-bot.pem"), id="Secret.file"),
        pytest.param(lambda: Path("ci-bot.pem"), id="Path"),
        pytest.param(lambda: HeldElsewhere("ES256"), id="Signer"),
    ],
)
def test_the_key_may_come_from(key):
    world = ScriptedWorld(secrets={EnvReference("KEY"): pem("P-256"), FileReference("ci-bot.pem"): pem("P-256")})
    _, _, data, signature = read_jwt(assertion(PrivateKeyJwt("ci-bot", key()), world=world))
    assert verifies("ES256", private_key("P-256").public_key(), data, signature)


def test_an_encrypted_key_opens_with_a_password_from_elsewhere():
    world = ScriptedWorld(
        secrets={EnvReference("PASSWORD"): "right", FileReference("k.pem"): pem("P-256", password="right")}
    )
    client = PrivateKeyJwt("ci-bot", Path("k.pem"), password=Secret.env("PASSWORD"))
    _, _, data, signature = read_jwt(assertion(client, world=world))
    assert verifies("ES256", private_key("P-256").public_key(), data, signature)
    assert [one.reference for one in client.secrets] == [FileReference("k.pem"), EnvReference("PASSWORD")]


def test_a_signer_from_elsewhere_has_its_key_id_and_no_secrets():
    client = PrivateKeyJwt("ci-bot", HeldElsewhere("ES256"))
    assert header(client)["kid"] == "elsewhere"
    assert client.secrets == ()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: "ci-bot.pem", id="a path as text"),
        pytest.param(lambda: "", id="nothing"),
        pytest.param(lambda: b"\x30\x82\x01\x02", id="DER"),
        pytest.param(lambda: "canary-s3cret", id="a client secret"),
    ],
)
def test_text_that_is_no_key_is_told_how_to_name_a_file(key):
    error = refused(key=key())
    assert error.code == "key_invalid"
    assert 'Path("ci-bot.pem")' in str(error)
    assert_hidden(error, "canary-s3cret")


@pytest.mark.parametrize(
    "key", [5, None, object(), ["a"], private_key("P-256"), HeldElsewhere, {"a": object()}, {1: object()}]
)
def test_something_else_is_no_key(key):
    assert refused(key=key).code == "key_invalid"


# which algorithm


@pytest.mark.parametrize(
    ("kind", "offered", "chosen"),
    [
        ("RSA", None, "RS256"),
        ("RSA", (), "RS256"),
        ("RSA", ("PS256", "RS256"), "RS256"),
        ("RSA", ("PS256",), "PS256"),
        ("RSA", ("RS512", "PS384"), "PS384"),
        ("RSA", ("ES256",), None),
        ("P-256", ("RS256", "ES256"), "ES256"),
        ("P-256", ("RS256",), None),
        ("P-384", None, "ES384"),
        ("P-521", ("ES512",), "ES512"),
        ("Ed25519", None, "EdDSA"),
        ("Ed25519", ("EdDSA", "Ed25519"), "EdDSA"),
        ("Ed25519", ("Ed25519",), "Ed25519"),
        ("Ed25519", ("ES256", "HS256", "none"), None),
    ],
)
def test_the_algorithm_is_the_keys_preferred_among_those_offered(kind, offered, chosen):
    client = PrivateKeyJwt("ci-bot", pem(kind))
    if chosen is not None:
        assert header(client, server(algs=offered))["alg"] == chosen
        return
    with pytest.raises(ConfigurationError) as caught:
        client.authenticate(ScriptedWorld(), server(algs=offered))
    assert caught.value.code == "alg_not_offered"
    assert all(name in str(caught.value) for name in offered)


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "ES256"), ("P-256", "ES384"), ("Ed25519", "RS256")])
def test_an_algorithm_that_the_key_cannot_do_is_refused(kind, algorithm):
    with pytest.raises(ConfigurationError) as caught:
        PrivateKeyJwt("ci-bot", pem(kind), algorithm=algorithm).authenticate(ScriptedWorld(), server())
    assert caught.value.code == "key_algorithm_mismatch"
    assert algorithm in str(caught.value)


REFUSED_BEFORE_READING = [
    ({"methods": ("client_secret_basic", "none")}, None, "method_not_offered", "client_secret_basic, none"),
    ({"methods": ("private_key_jwt",), "algs": ("ES256",)}, "RS256", "alg_not_offered", "ES256"),
    ({"algs": ("HS256", "none")}, None, "alg_not_offered", "HS256, none"),
]


@pytest.mark.parametrize(("offers", "algorithm", "code", "says"), REFUSED_BEFORE_READING)
def test_what_the_server_does_not_offer_is_refused_before_the_key_is_read(offers, algorithm, code, says):
    world = ScriptedWorld()
    client = PrivateKeyJwt("ci-bot", Secret.env("UNREAD"), algorithm=algorithm)
    for ask in (client.choose, lambda metadata: client.authenticate(world, metadata)):
        with pytest.raises(ConfigurationError) as caught:
            ask(server(**offers))
        assert caught.value.code == code
        assert says in str(caught.value)
    assert (world.revealed, world.signed) == ([], [])


@pytest.mark.parametrize("offers", [{}, {"methods": ("private_key_jwt",)}, {"algs": ("none", "RS256")}])
def test_the_method_is_private_key_jwt(offers):
    assert (
        PrivateKeyJwt("ci-bot", Secret.env("UNREAD"), algorithm="RS256").choose(server(**offers)) == "private_key_jwt"
    )


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "hs512"])
def test_neither_none_nor_an_hmac_can_be_asked_for(algorithm):
    assert refused(algorithm=algorithm).code == "algorithm_invalid"


def test_neither_none_nor_an_hmac_is_taken_from_a_signer():
    with pytest.raises(ConfigurationError) as caught:
        PrivateKeyJwt("ci-bot", HeldElsewhere("none", "HS256")).authenticate(ScriptedWorld(), server())
    assert caught.value.code == "alg_not_offered"
    assert header(PrivateKeyJwt("ci-bot", HeldElsewhere("HS256", "ES256")))["alg"] == "ES256"


# what is refused at once


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"client_id": ""}, "client_id_invalid"),
        ({"client_id": "a\nb"}, "client_id_invalid"),
        ({"algorithm": ""}, "algorithm_invalid"),
        ({"algorithm": 256}, "algorithm_invalid"),
        ({"key_id": ""}, "key_id_invalid"),
        ({"key_id": "k", "thumbprint_key_id": True}, "key_id_invalid"),
        ({"typ": ""}, "typ_invalid"),
        ({"typ": None}, "typ_invalid"),
        ({"audience": ""}, "audience_invalid"),
        ({"audience": [ISSUER]}, "audience_invalid"),
        ({"x5t_s256": "AA:BB"}, "x5t_s256_invalid"),
        ({"x5t_s256": ""}, "x5t_s256_invalid"),
        ({"lifetime_s": 0}, "lifetime_s_invalid"),
        ({"lifetime_s": -5}, "lifetime_s_invalid"),
        ({"lifetime_s": 3601}, "lifetime_s_invalid"),
        ({"lifetime_s": 60.0}, "lifetime_s_invalid"),
        ({"lifetime_s": True}, "lifetime_s_invalid"),
        ({"claims": {"exp": 5}}, "claims_invalid"),
        ({"claims": {"sub": "other"}}, "claims_invalid"),
        ({"claims": {"a": object()}}, "claims_invalid"),
        ({"claims": [1]}, "claims_invalid"),
        ({"password": 5}, "password_invalid"),
        ({"key": HeldElsewhere("ES256"), "password": "x"}, "password_invalid"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_at_once(arguments, code):
    error = refused(**arguments)
    assert error.code == code
    assert_hidden(error, pem("P-256").splitlines()[1])


@pytest.mark.parametrize("lifetime_s", [1, 3600])
def test_the_bounds_of_the_lifetime_are_allowed(lifetime_s):
    body = claims(PrivateKeyJwt("ci-bot", pem("P-256"), lifetime_s=lifetime_s))
    assert body["exp"] == body["iat"] + lifetime_s


# what it keeps to itself


def test_claims_that_change_later_do_not_change_the_assertion():
    mine = {"roles": ["a"]}
    client = PrivateKeyJwt("ci-bot", pem("P-256"), claims=mine)
    mine["roles"].append("b")
    assert claims(client)["roles"] == ["a"]


def test_it_shows_nothing_of_its_key():
    client = PrivateKeyJwt("ci-bot", pem("P-256", password="canary-pass"), password="canary-pass")
    assert client.identity == ("private_key_jwt", "ci-bot")
    assert "BEGIN" not in repr(client)
    assert "canary" not in repr(client)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(client)
    with pytest.raises(AttributeError):
        client.typ = "other"


@pytest.mark.parametrize(("key", "password"), [("P-256", "canary-wrong"), ("secp256k1", None)])
def test_an_error_about_the_key_shows_nothing_of_it(key, password):
    text = pem(key, password="right" if password else None)
    client = PrivateKeyJwt("ci-bot", text, password=password)
    with pytest.raises(ConfigurationError) as caught:
        client.authenticate(ScriptedWorld(), server())
    assert_hidden(caught.value, text.splitlines()[1], "canary-wrong")


def test_claims_tell_tokens_apart_and_their_order_does_not():
    def identity(claims):
        return PrivateKeyJwt("app", "-----BEGIN PRIVATE KEY-----", claims=claims).identity

    assert identity({"tenant": "a"}) != identity({"tenant": "b"})
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1})
    assert identity({}) == identity(None) == ("private_key_jwt", "app")
