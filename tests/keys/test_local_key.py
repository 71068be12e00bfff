from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc.jwk import import_key
from key_material import KIND_OF, decoded, jwk, pem, private_key, verifies

from gatepass.errors import ConfigurationError
from gatepass.keys import parse_private_key

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "jws_signatures.json").read_text("utf-8"))


@pytest.mark.parametrize(("algorithm", "kind"), KIND_OF.items())
def test_every_algorithm_signs_as_cryptography_verifies(algorithm, kind):
    key = parse_private_key(pem(kind), None, origin="key")
    public = private_key(kind).public_key()
    signature = key.sign(algorithm, b"data")
    assert verifies(algorithm, public, b"data", signature)
    assert not verifies(algorithm, public, b"other data", signature)


@pytest.mark.parametrize("vector", VECTORS, ids=[v["source"] for v in VECTORS])
def test_the_vectors_of_the_specifications_are_met(vector):
    key = parse_private_key(json.dumps(vector["jwk"]), None, origin="key")
    algorithm, data, theirs = vector["alg"], vector["signing_input"].encode(), decoded(vector["signature"])
    ours = key.sign(algorithm, data)
    public = import_key({**vector["jwk"]}).public_key
    assert verifies(algorithm, public, data, theirs)
    assert verifies(algorithm, public, data, ours)
    assert not vector["deterministic"] or ours == theirs
    assert key.public_jwk.get("kid") == vector["jwk"].get("kid")


@pytest.mark.parametrize(
    ("kind", "algorithms"),
    [
        ("RSA", ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")),
        ("P-256", ("ES256",)),
        ("P-384", ("ES384",)),
        ("P-521", ("ES512",)),
        ("Ed25519", ("EdDSA", "Ed25519")),
    ],
)
def test_a_key_names_what_it_signs_with_the_preferred_first(kind, algorithms):
    assert parse_private_key(pem(kind), None, origin="key").algorithms == algorithms


@pytest.mark.parametrize("kind", sorted(set(KIND_OF.values())))
def test_the_public_half_is_a_jwk_without_a_key_id(kind):
    assert parse_private_key(pem(kind), None, origin="key").public_jwk == jwk(kind, public=True)


def test_a_change_to_a_public_jwk_stays_with_whoever_made_it():
    key = parse_private_key(pem("P-256"), None, origin="key")
    key.public_jwk["kid"] = "changed"
    assert "kid" not in key.public_jwk


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256", "RSA-OAEP", ""])
def test_a_key_refuses_an_algorithm_of_another_kind(algorithm):
    with pytest.raises(ConfigurationError) as caught:
        parse_private_key(pem("RSA"), None, origin="key").sign(algorithm, b"data")
    assert caught.value.code == "key_algorithm_mismatch"
    assert "RS256, PS256" in str(caught.value)


@pytest.mark.parametrize("kind", sorted(set(KIND_OF.values())))
def test_a_repr_tells_the_kind_and_nothing_private(kind):
    key = parse_private_key(json.dumps(jwk(kind, kid="mine")), None, origin="key")
    assert repr(key) == f"LocalKey({kind})"


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_is_neither_pickled_nor_copied(take):
    with pytest.raises(TypeError, match="can't be pickled"):
        take(parse_private_key(pem("P-256"), None, origin="key"))


def test_threads_may_sign_with_one_key_at_once():
    key = parse_private_key(pem("P-256"), None, origin="key")
    public = private_key("P-256").public_key()
    data = [str(n).encode() for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda one: key.sign("ES256", one), data))
    assert all(verifies("ES256", public, *pair) for pair in zip(data, signatures, strict=True))


def test_importing_the_package_imports_neither_joserfc_nor_cryptography():
    code = (
        "import sys, gatepass.keys, gatepass.client_auth.private_key_jwt; "
        "print([name for name in ('joserfc', 'cryptography') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"
