"""Proofs: their form, signatures that other implementations check, and that nothing private gets into one."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from types import SimpleNamespace

import jwt as pyjwt
import pytest
from errands import a_proof_key
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import JWKRegistry
from key_material import KIND_OF, decoded, jwk, pem, private_key, read_jwt, verifies
from scripted import ScriptedWorld

from gatepass.dpop import ProofKey, proof_input, proof_key, prove, target_uri, token_hash
from gatepass.errors import ConfigurationError
from gatepass.keys import parse_private_key

VECTORS = json.loads((Path(__file__).parent / "vectors" / "dpop_proofs.json").read_text(encoding="utf-8"))
URL = "https://as.example.com/token"
NOW = 1_700_000_000.9
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class Elsewhere(SimpleNamespace):
    """A key of which only this is known."""

    def __init__(self, public_jwk: dict[str, object], *algorithms: str) -> None:
        super().__init__(public_jwk=public_jwk, algorithms=algorithms)

    def sign(self, algorithm: str, data: bytes) -> bytes:
        raise AssertionError("nothing was to be signed")


def a_proof(
    kind: str = "P-256", *, world: ScriptedWorld | None = None, url: str = URL, nonce: str | None = None
) -> str:
    return prove(world or ScriptedWorld(wall=NOW), a_proof_key(kind), method="POST", url=url, nonce=nonce)


def head(key: ProofKey) -> dict[str, object]:
    assert key.header.endswith(b".")
    return json.loads(decoded(key.header.decode().removesuffix(".")))


# what a proof says


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["source"] for vector in VECTORS])
def test_the_proofs_of_rfc_9449_are_said_again(vector):
    header, claims, _, _ = read_jwt(vector["proof"])
    key = proof_key(Elsewhere(vector["jwk"], "ES256"))
    ours = proof_input(
        key,
        method=vector["method"],
        url=vector["url"],
        issued_at=claims["iat"],
        random=decoded(claims["jti"]),
        token_hash=vector["access_token"] and token_hash(vector["access_token"]),
    )
    our_header, our_claims, _, _ = read_jwt(f"{ours.decode()}.AA")
    assert (our_header, our_claims) == (header, claims)
    assert our_claims.get("ath") == vector["ath"]
    assert key.thumbprint == vector["jkt"]


def test_a_proof_has_the_members_of_rfc_9449_and_no_others():
    header, claims, _, _ = read_jwt(a_proof())
    public = {name: value for name, value in jwk("P-256", public=True).items() if name in ("crv", "kty", "x", "y")}
    assert header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": public}
    assert claims == {"jti": claims["jti"], "htm": "POST", "htu": URL, "iat": 1_700_000_000}
    assert len(decoded(claims["jti"])) == 16


def test_what_the_server_wants_to_see_is_in_it():
    assert read_jwt(a_proof(nonce="n-1"))[1]["nonce"] == "n-1"


def test_no_two_proofs_are_the_same():
    world = ScriptedWorld(wall=NOW)
    assert len({read_jwt(a_proof(world=world))[1]["jti"] for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("url", "htu"),
    [
        (URL, URL),
        (f"{URL}?tenant=a", URL),
        (f"{URL}#part", URL),
        (f"{URL}?a=b#c?d", URL),
        (f"{URL}#c?d", URL),
        (f"{URL}?", URL),
        ("https://mcp.example.com/a%3Fb?c", "https://mcp.example.com/a%3Fb"),
    ],
)
def test_the_url_stands_in_it_without_query_and_fragment(url, htu):
    assert target_uri(url) == htu
    assert read_jwt(a_proof(url=url))[1]["htu"] == htu


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_the_hash_binds_to_the_token(token):
    assert token_hash(token) == urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


# signatures


@pytest.mark.parametrize("algorithm", sorted(KIND_OF))
def test_the_signature_is_that_of_the_key_in_the_header(algorithm):
    kind = KIND_OF[algorithm]
    key = proof_key(parse_private_key(pem(kind), None, origin="key"), (algorithm,))
    world = ScriptedWorld(wall=NOW)
    header, _, data, signature = read_jwt(prove(world, key, method="POST", url=URL, nonce=None))
    assert header["alg"] == key.algorithm == algorithm
    assert verifies(algorithm, private_key(kind).public_key(), data, signature)
    assert header["jwk"].items() <= jwk(kind, public=True).items()
    assert [used for used, _ in world.signed] == [algorithm]


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA", "Ed25519"])
def test_pyjwt_reads_a_proof_with_nothing_but_its_header(kind):
    proof = a_proof(kind)
    header = pyjwt.get_unverified_header(proof)
    claims = pyjwt.decode(
        proof, pyjwt.PyJWK(header["jwk"], header["alg"]), algorithms=[header["alg"]], options={"verify_iat": False}
    )
    assert claims["htu"] == URL


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA", "Ed25519"])
def test_the_thumbprint_is_what_joserfc_says_of_the_key_in_the_header(kind):
    key = a_proof_key(kind)
    assert JWKRegistry.import_key(head(key)["jwk"]).thumbprint() == key.thumbprint


# which algorithm

ABLE = ("RS256", "PS256", "RS384")


@pytest.mark.parametrize(
    ("offers", "algorithm"),
    [
        ((), "RS256"),
        ((None, None), "RS256"),
        (((), None), "RS256"),
        ((("PS256", "RS256"),), "RS256"),
        ((("PS256",), None), "PS256"),
        ((None, ("RS384", "PS256")), "PS256"),
        ((("RS256", "RS384"), ("RS384", "PS256")), "RS384"),
    ],
)
def test_it_is_the_first_of_the_key_s_own_that_everybody_takes(offers, algorithm):
    assert proof_key(Elsewhere(jwk("RSA", public=True), *ABLE), *offers).algorithm == algorithm


@pytest.mark.parametrize(
    ("able", "offers", "said"),
    [
        (ABLE, (("ES256",),), "take ES256"),
        (ABLE, (("RS256",), ("PS256",)), "take RS256; PS256"),
        (ABLE, (("HS256", "canary\x1b[2J"),), "take none"),
        ((), (), "no algorithm at all"),
        (("none", "HS256", "canary"), (("HS256",),), "no algorithm at all"),
    ],
)
def test_without_one_the_error_says_what_each_side_can_do(able, offers, said):
    with pytest.raises(ConfigurationError) as caught:
        proof_key(Elsewhere(jwk("RSA", public=True), *able), *offers)
    assert caught.value.code == "dpop_alg_not_offered"
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


# what never gets out


@given(
    kind=st.sampled_from(["P-256", "RSA", "Ed25519"]),
    more=st.dictionaries(st.sampled_from(PRIVATE) | st.text(max_size=12), st.just("canary") | st.just(["canary"])),
)
def test_whatever_stands_in_the_jwk_only_its_public_members_are_shown(kind, more):
    public = jwk(kind, public=True)
    key = proof_key(Elsewhere({**more, **public}, "ES256"))
    assert (
        set(head(key)["jwk"])
        == {"P-256": {"kty", "crv", "x", "y"}, "RSA": {"kty", "n", "e"}, "Ed25519": {"kty", "crv", "x"}}[kind]
    )
    assert head(key)["jwk"].items() <= public.items()


@pytest.mark.parametrize(
    "wrong", [{}, {"kty": "oct", "k": "canary"}, {"kty": "EC", "crv": "P-256", "x": "AQ", "d": "canary"}]
)
def test_what_is_no_public_key_makes_no_proof(wrong):
    with pytest.raises(ConfigurationError) as caught:
        proof_key(Elsewhere(wrong, "ES256"))
    assert caught.value.code == "key_invalid"
    assert "canary" not in str(caught.value)


def test_a_key_shows_its_thumbprint_and_nothing_else():
    key = a_proof_key()
    assert key.thumbprint in repr(key)
    assert "signer" not in repr(key)
    assert "header" not in repr(key)


@pytest.mark.parametrize(("says", "local"), [({}, False), ({"local": True}, True), ({"local": "yes"}, False)])
def test_a_key_is_local_if_it_says_so(says, local):
    signer = Elsewhere(jwk("P-256", public=True), "ES256")
    vars(signer).update(says)
    assert proof_key(signer).local is local
    assert a_proof_key().local
