from __future__ import annotations

import json
from base64 import b64encode

import pytest
from canary import assert_hidden
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from key_material import (
    KIND_OF,
    certificate,
    jwk,
    openssh,
    pem,
    private_key,
    public_pem,
    signing_request,
    verifies,
)

from gatepass.errors import ConfigurationError
from gatepass.keys import parse_private_key

KINDS = sorted(set(KIND_OF.values()))


def signs(key, kind: str, number: int = 0) -> bool:
    algorithm = key.algorithms[0]
    return verifies(algorithm, private_key(kind, number).public_key(), b"data", key.sign(algorithm, b"data"))


def refusal(text: str, password: str | None = None) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse_private_key(text, password, origin="file ci-bot.pem")
    assert str(caught.value).startswith("file ci-bot.pem: ")
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_from_pkcs8(kind):
    assert signs(parse_private_key(pem(kind), None, origin="key"), kind)


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521"])
def test_a_key_is_read_from_pkcs1_and_sec1(kind):
    text = pem(kind, traditional=True)
    assert "BEGIN RSA" in text or "BEGIN EC" in text
    assert signs(parse_private_key(text, None, origin="key"), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_from_a_jwk(kind):
    assert signs(parse_private_key(json.dumps(jwk(kind)), None, origin="key"), kind)


def test_an_rsa_jwk_may_leave_out_the_primes():
    bare = {name: value for name, value in jwk("RSA").items() if name in {"kty", "n", "e", "d"}}
    assert signs(parse_private_key(json.dumps(bare), None, origin="key"), "RSA")


@pytest.mark.parametrize(("kind", "traditional"), [("RSA", False), ("RSA", True), ("P-256", False), ("Ed25519", False)])
def test_an_encrypted_key_opens_with_its_password(kind, traditional):
    text = pem(kind, password="pass word ü", traditional=traditional)
    assert "ENCRYPTED" in text
    assert signs(parse_private_key(text, "pass word ü", origin="key"), kind)


def test_a_password_that_is_not_needed_is_not_looked_at():
    assert signs(parse_private_key(pem("P-256"), "unneeded", origin="key"), "P-256")
    assert signs(parse_private_key(json.dumps(jwk("P-256")), "unneeded", origin="key"), "P-256")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda: certificate("P-256") + pem("P-256"), id="after its certificate"),
        pytest.param(lambda: pem("P-256") + certificate("P-256"), id="before its certificate"),
        pytest.param(lambda: "Bag Attributes\n  friendlyName: ci\n" + pem("P-256"), id="after other text"),
        pytest.param(lambda: pem("P-256").replace("\n", "\r\n"), id="with the line ends of Windows"),
        pytest.param(lambda: pem("P-256").strip().replace("\n", "\\n"), id="with its line ends written out"),
        pytest.param(lambda: pem("P-256") + pem("P-256", number=1), id="before another key"),
        pytest.param(lambda: pem("P-256").rstrip("\n"), id="without a last line end"),
    ],
)
def test_a_pem_key_is_found(text):
    assert signs(parse_private_key(text(), None, origin="key"), "P-256")


def test_a_jwk_keeps_its_own_key_id_and_nothing_private():
    key = parse_private_key(
        json.dumps(jwk("P-256", kid="mine", x5c=["MII"], use="sig", key_ops=["sign"])), None, origin="key"
    )
    assert key.public_jwk == jwk("P-256", public=True, kid="mine")


def test_the_alg_of_a_jwk_narrows_what_it_signs_with():
    key = parse_private_key(json.dumps(jwk("RSA", alg="PS384")), None, origin="key")
    assert key.algorithms == ("PS384",)
    with pytest.raises(ConfigurationError) as caught:
        key.sign("RS256", b"data")
    assert caught.value.code == "key_algorithm_mismatch"


def of_unknown_kind() -> str:
    """An Ed25519 key whose kind (RFC 8410 §3) is changed to one that nobody uses."""
    der = private_key("Ed25519").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    changed = der.replace(bytes.fromhex("2b6570"), bytes.fromhex("2b657f"))
    return f"-----BEGIN PRIVATE KEY-----\n{b64encode(changed).decode()}\n-----END PRIVATE KEY-----\n"


def damaged_pem() -> str:
    lines = pem("P-256").splitlines()
    return "\n".join([lines[0], *lines[2:]])


REFUSALS = [
    ("a public key", lambda: public_pem("RSA"), "key_not_private", "public key"),
    ("a certificate", lambda: certificate("RSA"), "key_not_private", "certificate"),
    ("a certificate request", lambda: signing_request("P-256"), "key_not_private", "certificate request"),
    ("a public JWK", lambda: json.dumps(jwk("P-256", public=True)), "key_not_private", "public key"),
    ("a public RSA JWK", lambda: json.dumps(jwk("RSA", public=True)), "key_not_private", "public key"),
    ("secp256k1", lambda: pem("secp256k1"), "key_unsupported", "secp256k1"),
    ("secp256k1 as JWK", lambda: json.dumps(jwk("secp256k1")), "key_unsupported", "curve"),
    ("Ed448", lambda: pem("Ed448"), "key_unsupported", "Ed448"),
    ("Ed448 as JWK", lambda: json.dumps(jwk("Ed448")), "key_unsupported", "curve"),
    ("X25519", lambda: pem("X25519"), "key_unsupported", "X25519"),
    ("DSA", lambda: pem("DSA"), "key_unsupported", "DSA"),
    ("an unknown kind", of_unknown_kind, "key_unsupported", "unknown kind"),
    ("OpenSSH", lambda: openssh("Ed25519"), "key_unsupported", "OpenSSH"),
    ("a symmetric JWK", lambda: '{"kty": "oct", "k": "c2VjcmV0"}', "key_unsupported", "symmetric"),
    ("an unknown kty", lambda: '{"kty": ["RSA"], "d": "AQ"}', "key_unsupported", "another kind"),
    ("no kty", lambda: "{}", "key_unsupported", "another kind"),
    ("several primes", lambda: json.dumps(jwk("RSA", oth=[])), "key_unsupported", "another kind"),
    ("a JWK for encryption", lambda: json.dumps(jwk("RSA", use="enc")), "key_unsupported", "use or key_ops"),
    ("a JWK to verify with", lambda: json.dumps(jwk("RSA", key_ops=["verify"])), "key_unsupported", "use or key_ops"),
    ("key_ops of a wrong type", lambda: json.dumps(jwk("RSA", key_ops=7)), "key_unsupported", "use or key_ops"),
    ("a JWK's alg for encryption", lambda: json.dumps(jwk("RSA", alg="RSA-OAEP")), "key_unsupported", "RS256, PS256"),
    ("a JWK's alg of another kind", lambda: json.dumps(jwk("P-256", alg="RS256")), "key_unsupported", "ES256"),
    ("a short RSA key", lambda: pem("RSA-1024"), "key_weak", "1024 bits"),
    ("a short RSA key as JWK", lambda: json.dumps(jwk("RSA-1024")), "key_weak", "1024 bits"),
    ("nothing", lambda: "", "key_invalid", "neither a JWK nor"),
    ("a path", lambda: "keys/ci-bot.pem", "key_invalid", "neither a JWK nor"),
    ("a PEM cut short", lambda: pem("P-256")[:80], "key_invalid", "END line"),
    ("a damaged PEM", damaged_pem, "key_invalid", "openssl pkey -in KEY.pem -check -noout"),
    ("broken JSON", lambda: '{"kty": "EC", ', "key_invalid", "not JSON"),
    ("half a surrogate", lambda: '{"kty": "\ud800"}', "key_invalid", "not JSON"),
    ("a JWK set", lambda: json.dumps({"keys": [jwk("P-256")]}), "key_invalid", "JWK set"),
    ("a JWK without y", lambda: json.dumps(jwk("P-256", y=None)), "key_invalid", "damaged"),
    ("a JWK with a number", lambda: json.dumps(jwk("P-256", d=5)), "key_invalid", "damaged"),
    ("a JWK with bad base64", lambda: json.dumps(jwk("P-256", d="a/b=")), "key_invalid", "damaged"),
    ("an RSA JWK without n", lambda: json.dumps(jwk("RSA", n=None)), "key_weak", "bits"),
    ("an RSA JWK with bad base64", lambda: json.dumps(jwk("RSA", n="é")), "key_invalid", "damaged"),
    (
        "an RSA JWK with one prime",
        lambda: json.dumps({"kty": "RSA", "p": "AQ", **rsa_without_primes()}),
        "key_invalid",
        "damaged",
    ),
    (
        "halves of two EC keys",
        lambda: json.dumps(jwk("P-256", d=jwk("P-256", number=1)["d"])),
        "key_invalid",
        "damaged",
    ),
    (
        "halves of two Ed25519 keys",
        lambda: json.dumps(jwk("Ed25519", d=jwk("Ed25519", number=1)["d"])),
        "key_invalid",
        "damaged",
    ),
    ("halves of two RSA keys", lambda: json.dumps(jwk("RSA", d=jwk("RSA", number=1)["d"])), "key_invalid", "damaged"),
    ("a kid that is no text", lambda: json.dumps(jwk("P-256", kid=5)), "key_invalid", "damaged"),
]


def rsa_without_primes() -> dict[str, object]:
    return {name: value for name, value in jwk("RSA").items() if name in {"n", "e", "d"}}


@pytest.mark.parametrize(("text", "code", "says"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_a_key_that_will_not_do_is_refused_by_what_would_mend_it(text, code, says):
    error = refusal(text())
    assert error.code == code
    assert says in str(error)


def test_a_der_file_read_as_text_is_told_how_to_become_pem():
    der = private_key("P-256").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    error = refusal(der.decode("utf-8", "replace"))
    assert error.code == "key_invalid"
    assert "openssl pkey -inform DER" in str(error)


@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize(
    ("password", "code"),
    [
        (None, "key_password_missing"),
        ("", "key_password_missing"),
        ("wrong", "key_password_wrong"),
        ("\ud800", "key_password_wrong"),
    ],
)
def test_a_locked_key_is_told_apart_from_a_damaged_one(traditional, password, code):
    error = refusal(pem("RSA", password="right", traditional=traditional), password)
    assert error.code == code
    assert "openssl pkey" in str(error)


@pytest.mark.parametrize(
    ("text", "password"),
    [
        pytest.param(lambda: pem("P-256", password="right"), "canary-wrong-password", id="wrong password"),
        pytest.param(lambda: pem("secp256k1"), None, id="unsupported curve"),
        pytest.param(lambda: json.dumps(jwk("P-256", alg="RS256")), None, id="JWK of another alg"),
        pytest.param(
            lambda: json.dumps(jwk("Ed25519", x=jwk("Ed25519", number=1)["x"])), None, id="halves of two keys"
        ),
        pytest.param(lambda: damaged_pem() + "-----", None, id="damaged"),
    ],
)
def test_an_error_holds_no_key_material_in_its_text_its_chain_or_its_frames(text, password):
    given = text()
    material = [line for line in given.splitlines() if len(line) > 40 and not line.startswith("-")]
    with pytest.raises(ConfigurationError) as caught:
        parse_private_key(given, password, origin="key")
    assert_hidden(caught.value, *material, *([password] if password else []))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@given(st.text() | st.text().map(lambda tail: '{"kty":"EC","crv":"P-256","d":' + tail) | st.binary().map(repr))
def test_any_text_is_a_key_or_a_configuration_error(text):
    with pytest.raises(ConfigurationError):
        parse_private_key(text, "password", origin="key")


@given(
    st.dictionaries(
        st.sampled_from(
            ["kty", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "kid", "alg", "use", "key_ops"]
        ),
        st.none()
        | st.integers()
        | st.lists(st.text(max_size=3), max_size=2)
        | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB", "AQ", "", "sig", "!"])
        | st.text(max_size=50),
    )
)
def test_any_jwk_is_a_key_or_a_configuration_error(members):
    try:
        parse_private_key(json.dumps(members), None, origin="key")
    except ConfigurationError as error:
        code = error.code
    else:
        code = "read"
    assert code in {"read", "key_invalid", "key_unsupported", "key_not_private", "key_weak"}


def test_what_is_read_is_the_same_key_as_cryptography_reads():
    key = parse_private_key(pem("P-384"), None, origin="key")
    theirs = load_pem_private_key(pem("P-384").encode(), None)
    assert verifies("ES384", theirs.public_key(), b"data", key.sign("ES384", b"data"))
