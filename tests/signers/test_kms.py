from __future__ import annotations

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from canary import assert_hidden
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from integration.forks import in_child, needs_fork
from key_material import private_key, verifies
from openbao import free_port
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
from signers.moto_server import REGION, moto_server

from gatepass.errors import UnreachableError
from gatepass.signers import KmsSigner

SPECS = {"P-256": "ECC_NIST_P256", "P-384": "ECC_NIST_P384", "P-521": "ECC_NIST_P521", "RSA": "RSA_2048"}
RSA = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
ALGORITHMS = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "RSA": RSA}


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    with moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def keys(moto):
    """The ids of keys, by what they are."""
    return {kind: new_key(moto.client(), KeySpec=spec) for kind, spec in SPECS.items()}


def new_key(kms, **options):
    return kms.create_key(**{"KeyUsage": "SIGN_VERIFY", "KeySpec": "ECC_NIST_P256", **options})["KeyMetadata"]["KeyId"]


def public_key(kms, key_id):
    """The public key as AWS shows it."""
    return load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])


class PlayedKms:
    """Does with a key of this process what AWS documents of `GetPublicKey` and `Sign`, and moto does not do."""

    def __init__(self, kind, *algorithms):
        self.key = private_key(kind)
        self.algorithms = algorithms
        self.types: list[str] = []

    def get_public_key(self, **_):
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": self.algorithms, "PublicKey": der}

    def sign(self, **asked):
        name, message, kind = asked["SigningAlgorithm"], asked["Message"], asked["MessageType"]
        assert len(message) <= 4096
        self.types.append(kind)
        if name == "ED25519_SHA_512":
            return {"Signature": self.key.sign(message)}
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[name[-3:]]
        algorithm = utils.Prehashed(digest) if kind == "DIGEST" else digest
        if name.startswith("ECDSA"):
            return {"Signature": self.key.sign(message, ec.ECDSA(algorithm))}
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return {"Signature": self.key.sign(message, pss if "PSS" in name else padding.PKCS1v15(), algorithm)}


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521"), ("RS256", "RSA"), ("RS384", "RSA"), ("RS512", "RSA")],
)
def test_a_signature_verifies(moto, keys, algorithm, kind):
    signer = KmsSigner(keys[kind], moto.client())
    assert signer.algorithms == ALGORITHMS[kind]
    assert all(signs(signer, public_key(moto.client(), keys[kind]), algorithm) for _ in range(20))
    assert signs(signer, public_key_of(signer), algorithm)


@pytest.mark.parametrize("size", [4096, 4097])
@pytest.mark.parametrize(
    ("algorithm", "kind", "theirs"),
    [
        ("RS256", "RSA", "RSASSA_PKCS1_V1_5_SHA_256"),
        ("PS256", "RSA", "RSASSA_PSS_SHA_256"),
        ("PS384", "RSA", "RSASSA_PSS_SHA_384"),
        ("PS512", "RSA", "RSASSA_PSS_SHA_512"),
        ("ES256", "P-256", "ECDSA_SHA_256"),
        ("ES512", "P-521", "ECDSA_SHA_512"),
    ],
)
def test_what_is_too_large_for_aws_is_hashed_here(algorithm, kind, theirs, size):
    kms = PlayedKms(kind, theirs)
    signer = KmsSigner("key", kms)
    assert signer.algorithms == (algorithm,)
    data = b"." * size
    assert verifies(algorithm, kms.key.public_key(), data, signer.sign(algorithm, data))
    assert kms.types == ["RAW" if size == 4096 else "DIGEST"]


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_a_key_on_edwards25519_signs_too(algorithm):
    kms = PlayedKms("Ed25519", "ED25519_SHA_512", "ED25519_PH_SHA_512")
    assert signs(KmsSigner("key", kms), kms.key.public_key(), algorithm)


def test_a_signature_that_is_not_of_the_form_of_a_jws_never_leaves(moto, keys):
    """moto salts PSS with as many bytes as fit, which RFC 7518 §3.5 does not allow; AWS itself does as it should."""
    error = refusal(KmsSigner(keys["RSA"], moto.client()), algorithm="PS256")
    assert error.code == "signer_signature_invalid"


def test_a_program_gets_in_with_a_key_of_the_cloud(moto, keys):
    assert gets_in(KmsSigner(keys["P-256"], moto.client()))


def test_an_alias_that_points_at_another_key_is_followed(moto):
    kms = moto.client()
    first, second = new_key(kms), new_key(kms)
    kms.create_alias(AliasName="alias/ci-bot", TargetKeyId=first)
    signer = KmsSigner("alias/ci-bot", kms)
    assert signs(signer, public_key(kms, first))
    kms.update_alias(AliasName="alias/ci-bot", TargetKeyId=second)
    assert signs(signer, public_key(kms, second))
    assert public_key_of(signer) == public_key(kms, second)


def test_a_key_that_is_not_there_is_missing(moto):
    for name in ("alias/nothing", "00000000-0000-0000-0000-000000000000"):
        assert refusal(KmsSigner(name, moto.client())).code == "signer_key_missing"


@pytest.mark.parametrize(
    "options",
    [
        {"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "RSA_2048"},
        {"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT"},
        {"KeySpec": "ECC_SECG_P256K1"},
    ],
    ids=str,
)
def test_a_key_that_makes_no_jws_is_unusable(moto, options):
    kms = moto.client()
    assert refusal(KmsSigner(new_key(kms, **options), kms)).code == "signer_key_unusable"


def test_a_name_that_can_be_none_is_a_failure_without_its_words(moto):
    assert refusal(KmsSigner("", moto.client())).code == "signer_failed"


def test_a_key_that_may_sign_with_nothing_of_ours_is_unusable():
    assert refusal(KmsSigner("key", PlayedKms("RSA", "RSASSA_NEW_SHA_256"))).code == "signer_key_unusable"
    assert refusal(KmsSigner("key", PlayedKms("RSA-1024", "RSASSA_PSS_SHA_256"))).code == "signer_key_unusable"


def test_an_algorithm_of_another_kind_of_key_is_refused(moto, keys):
    assert refusal(KmsSigner(keys["P-256"], moto.client()), algorithm="RS256").code == "key_algorithm_mismatch"


@pytest.mark.parametrize("allowed", ["kms:GetPublicKey", "kms:DescribeKey"])
def test_a_user_who_may_not_sign_is_refused(moto, keys, allowed):
    iam, user = moto.client("iam"), allowed.replace(":", "-")
    iam.create_user(UserName=user)
    access = iam.create_access_key(UserName=user)["AccessKey"]
    policy = (
        f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "{allowed}", "Resource": "*"}}]}}'
    )
    iam.put_user_policy(UserName=user, PolicyName="some", PolicyDocument=policy)
    kms = moto.client(key_id=access["AccessKeyId"], secret=access["SecretAccessKey"])
    with moto.checking_permissions():
        error = refusal(KmsSigner(keys["P-256"], kms))
    assert error.code == "signer_refused"
    assert_hidden(error, access["SecretAccessKey"], user)


@pytest.mark.parametrize(
    ("status", "theirs", "error", "code"),
    [
        (400, "AccessDeniedException", None, "signer_refused"),
        (400, "ExpiredTokenException", None, "signer_refused"),
        (403, "New", None, "signer_refused"),
        (400, "DisabledException", None, "signer_key_unusable"),
        (400, "KMSInvalidStateException", None, "signer_key_unusable"),
        (400, "NotFoundException", None, "signer_key_missing"),
        (400, "ThrottlingException", UnreachableError, "signer_unreachable"),
        (400, "DependencyTimeoutException", UnreachableError, "signer_unreachable"),
        (429, "New", UnreachableError, "signer_unreachable"),
        (500, "KMSInternalException", UnreachableError, "signer_unreachable"),
        (503, "New", UnreachableError, "signer_unreachable"),
        (400, "New", None, "signer_failed"),
    ],
)
def test_what_aws_answers_is_final_or_worth_another_try(moto, keys, status, theirs, error, code):
    kms = moto.client()
    signer = KmsSigner(keys["P-256"], kms)
    assert signer.algorithms == ("ES256",)
    kind = {} if error is None else {"error": error}
    with Stubber(kms) as answers:
        for operation in ("sign", "get_public_key"):  # the second only where the key may have been replaced
            answers.add_client_error(operation, theirs, "canary-message", http_status_code=status)
        problem = refusal(signer, **kind)
    assert problem.code == code
    assert_hidden(problem, "canary-message")


def test_a_cloud_that_can_not_be_reached_can_be_asked_later():
    nowhere = boto3.client(
        "kms",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        region_name=REGION,
        aws_access_key_id="id",
        aws_secret_access_key="canary-key",
        config=Config(retries={"total_max_attempts": 1}),
    )
    error = refusal(KmsSigner("key", nowhere), UnreachableError)
    assert error.code == "signer_unreachable"
    assert_hidden(error, "canary-key")


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment in which boto3 finds nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def test_boto3_makes_the_client_where_none_is_given(bare, moto, keys):
    bare.setenv("AWS_ENDPOINT_URL_KMS", moto.url)
    bare.setenv("AWS_DEFAULT_REGION", REGION)
    bare.setenv("AWS_ACCESS_KEY_ID", "id")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "canary-key")
    signer = KmsSigner(keys["P-256"])
    assert signs(signer, public_key(moto.client(), keys["P-256"]))
    assert_stays_here(signer, "canary-key")
    assert repr(signer) == f"KmsSigner({keys['P-256']})"


def test_without_a_region_or_credentials_it_says_so(bare):
    assert "NoRegionError" in str(refusal(KmsSigner("key")))
    bare.setenv("AWS_DEFAULT_REGION", REGION)
    error = refusal(KmsSigner("key"))
    assert error.code == "signer_refused"
    assert "NoCredentialsError" in str(error)


def test_threads_may_sign_at_once(moto, keys):
    assert_signs_in_threads(KmsSigner(keys["P-256"], moto.client()), public_key(moto.client(), keys["P-256"]))


@needs_fork
def test_a_forked_child_signs_over_connections_of_its_own(moto, keys):
    signer = KmsSigner(keys["P-256"], moto.client())
    key = public_key_of(signer)
    assert signs(signer, key)
    assert in_child(lambda: signs(signer, key)) is True
    assert signs(signer, key)


def test_the_key_is_looked_up_once(moto, keys):
    kms = moto.client()
    asked: list[str] = []
    kms.meta.events.register("before-call", lambda model, **_: asked.append(model.name))
    signer = KmsSigner(keys["P-256"], kms)
    assert asked == []
    for _ in range(3):
        signer.sign("ES256", DATA)
    assert asked == ["GetPublicKey", "Sign", "Sign", "Sign"]


@pytest.mark.parametrize("library", ["boto3", "botocore"])
def test_without_boto3_it_says_what_to_install(library, monkeypatch):
    assert_needs(KmsSigner("key"), library, "aws", monkeypatch)
