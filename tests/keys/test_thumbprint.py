from __future__ import annotations

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from canary import assert_hidden
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import JWKRegistry
from key_material import KIND_OF, certificate, jwk, pem

from gatepass.errors import ConfigurationError
from gatepass.keys import parse_private_key, thumbprint, x5t_s256
from gatepass.keys.thumbprint import public_members

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "jwk_thumbprints.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=[v["source"] for v in VECTORS])
def test_the_vectors_of_the_specifications_are_met(vector):
    assert thumbprint(vector["jwk"]) == vector["thumbprint"]


@pytest.mark.parametrize("kind", sorted(set(KIND_OF.values())))
def test_it_is_what_another_implementation_says_whatever_else_stands_in_the_jwk(kind):
    key = parse_private_key(json.dumps(jwk(kind, kid="mine")), None, origin="key")
    theirs = JWKRegistry.import_key(jwk(kind, public=True)).thumbprint()
    assert thumbprint(key.public_jwk) == theirs
    assert thumbprint(dict(reversed(key.public_jwk.items()))) == theirs


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kty": "oct", "k": "AQ"},
        {"kty": "EC", "crv": "P-256", "x": "AQ"},
        {"kty": "EC", "crv": "P-256", "x": "AQ", "y": 5},
        {"kty": []},
    ],
)
@pytest.mark.parametrize("ask", [thumbprint, public_members])
def test_what_is_no_public_key_has_none(ask, wrong):
    with pytest.raises(ConfigurationError) as caught:
        ask(wrong)
    assert caught.value.code == "key_invalid"


@given(
    kind=st.sampled_from(["P-256", "P-521", "RSA", "Ed25519"]),
    more=st.dictionaries(st.sampled_from(["d", "p", "q", "dp", "dq", "qi", "oth", "k", "kid"]) | st.text(), st.text()),
)
def test_of_a_private_key_only_the_public_members_are_taken(kind, more):
    members = public_members({**more, **jwk(kind)})
    assert members.items() <= jwk(kind, public=True).items()
    assert JWKRegistry.import_key(members).is_private is False
    assert JWKRegistry.import_key(members).thumbprint() == thumbprint(members)


def test_the_thumbprint_of_a_certificate_is_the_hash_of_its_der():
    text = certificate("P-256")
    der = b64decode("".join(line for line in text.splitlines() if not line.startswith("-")))
    expected = urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert x5t_s256(text) == expected
    assert x5t_s256(pem("P-256") + text) == expected


def test_a_private_key_in_place_of_a_certificate_is_refused_and_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        x5t_s256(pem("P-256"))
    assert caught.value.code == "certificate_invalid"
    assert_hidden(caught.value, pem("P-256").splitlines()[1])
