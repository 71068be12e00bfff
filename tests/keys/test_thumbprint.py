from __future__ import annotations

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from canary import assert_hidden
from joserfc.jwk import JWKRegistry
from key_material import KIND_OF, certificate, jwk, pem

from gatepass.errors import ConfigurationError
from gatepass.keys import parse_private_key, thumbprint, x5t_s256

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
    "wrong", [{}, {"kty": "oct", "k": "AQ"}, {"kty": "EC", "crv": "P-256", "x": "AQ"}, {"kty": []}]
)
def test_what_is_no_public_key_has_none(wrong):
    with pytest.raises(ConfigurationError) as caught:
        thumbprint(wrong)
    assert caught.value.code == "key_invalid"


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
