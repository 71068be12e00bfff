from __future__ import annotations

import socket

import jwt
import pytest
from canary import assert_hidden
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from integration.forks import in_child, needs_fork
from key_material import KIND_OF, decoded
from openbao import ROOT_TOKEN, openbao
from signers.elsewhere import (
    DATA,
    assert_needs,
    assert_signs_in_threads,
    assert_stays_here,
    gets_in,
    public_key_of,
    refusal,
    signs,
)

from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.signers import VaultSigner

TYPES = {"RSA": "rsa-2048", "P-256": "ecdsa-p256", "P-384": "ecdsa-p384", "P-521": "ecdsa-p521", "Ed25519": "ed25519"}
READ = 'path "transit/keys/*" { capabilities = ["read"] }'
SIGN = 'path "transit/sign/*" { capabilities = ["update"] }'


@pytest.fixture(scope="session")
def bao(tmp_path_factory):
    with openbao(tmp_path_factory.mktemp("openbao")) as server:
        for kind, theirs in TYPES.items():
            server.client().secrets.transit.create_key(kind, key_type=theirs)
        yield server


@pytest.fixture
def transit(bao):
    return bao.client().secrets.transit


def public_key(transit, name, version=1):
    """The public key as OpenBao shows it."""
    text = transit.read_key(name)["data"]["keys"][str(version)]["public_key"]
    return load_pem_public_key(text.encode()) if "BEGIN" in text else Ed25519PublicKey.from_public_bytes(decoded(text))


@pytest.mark.parametrize(("algorithm", "kind"), KIND_OF.items())
def test_a_signature_verifies(bao, transit, algorithm, kind):
    signer = VaultSigner(bao.client(), kind)
    assert algorithm in signer.algorithms
    assert signs(signer, public_key(transit, kind), algorithm)
    assert signs(signer, public_key_of(signer), algorithm)


def test_the_public_half_names_no_kid_and_nothing_private(bao):
    assert VaultSigner(bao.client(), "P-256").public_jwk.keys() == {"kty", "crv", "x", "y"}
    assert VaultSigner(bao.client(), "RSA").public_jwk.keys() == {"kty", "n", "e"}


def test_a_program_gets_in_with_a_key_that_never_left_the_vault(bao):
    assert gets_in(VaultSigner(bao.client(), "P-256"))


def test_a_token_that_may_read_and_sign_is_enough(bao, transit):
    token = bao.token_for(READ + SIGN)
    assert signs(VaultSigner(bao.client(token), "P-256"), public_key(transit, "P-256"))


def test_the_engine_may_be_mounted_elsewhere(bao):
    root = bao.client()
    root.sys.enable_secrets_engine("transit", path="teams/ci")
    root.secrets.transit.create_key("key", key_type="ecdsa-p256", mount_point="teams/ci")
    signer = VaultSigner(root, "key", mount_point="teams/ci/")
    assert signs(signer, public_key_of(signer))
    assert repr(signer) == "VaultSigner(teams/ci/key)"


@pytest.mark.parametrize("policy", [READ, SIGN, 'path "sys/*" { capabilities = ["read"] }'])
def test_a_token_without_the_permission_is_refused(bao, policy):
    error = refusal(VaultSigner(bao.client(bao.token_for(policy)), "P-256"))
    assert error.code == "signer_refused"
    assert "transit/sign/P-256" in str(error)


def test_an_invalid_token_is_refused_and_not_shown(bao):
    client = bao.client("canary-token")
    signer = VaultSigner(client, "P-256")
    error = refusal(signer)
    assert error.code == "signer_refused"
    assert_hidden(error, "canary-token")
    assert_stays_here(signer, "canary-token", ROOT_TOKEN)


@pytest.mark.parametrize(
    ("name", "options"),
    [("nothing", {}), ("P-256", {"mount_point": "nowhere"}), ("P-256", {"key_version": 7})],
)
def test_a_key_that_is_not_there_is_missing(bao, name, options):
    assert refusal(VaultSigner(bao.client(), name, **options)).code == "signer_key_missing"


@pytest.mark.parametrize(
    "options",
    [{"key_type": "aes256-gcm96"}, {"key_type": "ed25519", "derived": True}],
    ids=str,
)
def test_a_key_that_signs_nothing_by_itself_is_unusable(bao, transit, options):
    name = options["key_type"]
    transit.create_key(f"not-{name}", **options)
    assert refusal(VaultSigner(bao.client(), f"not-{name}")).code == "signer_key_unusable"


def test_an_algorithm_of_another_kind_of_key_is_refused(bao):
    assert refusal(VaultSigner(bao.client(), "P-256"), algorithm="RS256").code == "key_algorithm_mismatch"


def test_a_key_that_was_rotated_signs_as_before_until_its_version_is_withdrawn(bao, transit):
    transit.create_key("rotated", key_type="ecdsa-p256")
    signer, later = VaultSigner(bao.client(), "rotated"), VaultSigner(bao.client(), "rotated", key_version=2)
    old = public_key_of(signer)
    transit.rotate_key("rotated")
    assert signs(signer, old)
    assert signs(later, public_key(transit, "rotated", 2))
    assert signs(VaultSigner(bao.client(), "rotated"), public_key(transit, "rotated", 2))

    transit.update_key_configuration("rotated", min_encryption_version=2)
    assert signs(signer, public_key(transit, "rotated", 2))
    assert public_key_of(signer) == public_key(transit, "rotated", 2) != old


def test_a_signer_of_one_version_does_not_move_on(bao, transit):
    transit.create_key("withdrawn", key_type="ecdsa-p256")
    signer = VaultSigner(bao.client(), "withdrawn", key_version=1)
    assert signs(signer, public_key_of(signer))
    transit.rotate_key("withdrawn")
    transit.update_key_configuration("withdrawn", min_encryption_version=2)
    assert refusal(signer).code == "signer_key_unusable"


def test_a_key_that_was_made_anew_under_its_name_is_looked_up_again(bao, transit):
    transit.create_key("again", key_type="ecdsa-p256")
    signer = VaultSigner(bao.client(), "again")
    old = public_key_of(signer)
    transit.update_key_configuration("again", deletion_allowed=True)
    transit.delete_key("again")
    transit.create_key("again", key_type="ecdsa-p256")
    assert signs(signer, public_key(transit, "again"))
    assert public_key_of(signer) != old


def test_threads_may_sign_at_once(bao, transit):
    assert_signs_in_threads(VaultSigner(bao.client(), "P-256"), public_key(transit, "P-256"))


@needs_fork
def test_a_forked_child_signs_over_connections_of_its_own(bao, transit):
    client = bao.client()
    signer = VaultSigner(client, "P-256")
    assert signs(signer, public_key(transit, "P-256"))
    key = public_key_of(signer)
    assert in_child(lambda: signs(signer, key)) is True
    assert signs(signer, key)


def test_a_vault_that_is_sealed_or_gone_can_be_asked_later(tmp_path):
    with openbao(tmp_path) as server:
        server.client().secrets.transit.create_key("key", key_type="ecdsa-p256")
        known, unknown = VaultSigner(server.client(), "key"), VaultSigner(server.client(), "key")
        assert signs(known, public_key_of(known))
        server.client().sys.seal()
        assert {refusal(signer, UnreachableError).code for signer in (known, unknown)} == {"signer_unreachable"}
    assert {refusal(signer, UnreachableError).code for signer in (known, unknown)} == {"signer_unreachable"}


def test_a_vault_that_does_not_answer_is_not_waited_for(bao):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = bao.client(timeout=None)
        client.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert refusal(VaultSigner(client, "key", timeout_s=0.1), UnreachableError).code == "signer_unreachable"


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, ConfigurationError, "signer_key_unusable"),
        (401, ConfigurationError, "signer_refused"),
        (403, ConfigurationError, "signer_refused"),
        (404, ConfigurationError, "signer_key_missing"),
        (412, UnreachableError, "signer_unreachable"),
        (429, UnreachableError, "signer_unreachable"),
        (500, UnreachableError, "signer_trouble"),
        (502, UnreachableError, "signer_unreachable"),
        (503, UnreachableError, "signer_unreachable"),
    ],
)
def test_what_vault_answers_is_final_or_worth_another_try(bao, status, error, code):
    client = bao.client()
    signer = VaultSigner(client, "P-256")
    assert signer.algorithms == ("ES256",)

    def answer_otherwise(answer, **_):
        answer.status_code, answer._content = status, b'{"errors": ["canary-message"]}'

    client.session.hooks["response"].append(answer_otherwise)
    problem = refusal(signer, error)
    assert problem.code == code
    assert_hidden(problem, "canary-message")


def test_an_address_that_is_none_is_no_reason_to_try_again(bao):
    client = bao.client("canary-token")
    client.url = "vault.example.com"
    error = refusal(VaultSigner(client, "key"))
    assert error.code == "signer_failed"
    assert_hidden(error, "canary-token")


def test_nothing_is_asked_before_the_first_use_and_little_after_it(bao):
    client = bao.client()
    asked: list[str] = []
    client.session.hooks["response"].append(lambda answer, **_: asked.append(answer.request.method))
    signer = VaultSigner(client, "P-256")
    assert asked == []
    for _ in range(3):
        assert signer.algorithms == ("ES256",)
        signer.sign("ES256", DATA)
    assert asked == ["GET", "POST", "POST", "POST"]


def test_without_hvac_it_says_what_to_install(bao, monkeypatch):
    assert_needs(VaultSigner(bao.client(), "P-256"), "hvac", "vault", monkeypatch)


def test_a_workload_gets_a_jwt_that_verifies(bao):
    token = bao.workload_jwt("https://as.example.com")
    key = jwt.PyJWKClient(bao.jwks_uri).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="https://as.example.com", issuer=bao.issuer)
    assert claims["sub"]


def test_another_audience_does_not_take_a_workload_jwt(bao):
    token = bao.workload_jwt("https://as.example.com")
    key = jwt.PyJWKClient(bao.jwks_uri).get_signing_key_from_jwt(token)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["ES256"], audience="https://other.example.com")
