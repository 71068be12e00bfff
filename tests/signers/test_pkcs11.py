from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from canary import assert_hidden
from integration.forks import in_child, needs_fork
from key_material import KIND_OF, pem, private_key
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

from gatepass.core.secret import Secret
from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.signers import Pkcs11Signer
from gatepass.signers import pkcs11 as ours

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "canary-4711"
KEYS = ("RSA", "P-256", "P-384", "P-521", "Ed25519")
IDS = {kind: bytes([10 + number]) for number, kind in enumerate(KEYS)}

pytestmark = pytest.mark.skipif(not MODULE.exists(), reason=f"{MODULE} is not installed: it comes with softhsm2")


def softhsm(*arguments):
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def tokens(tmp_path_factory):
    """The directory of two tokens: "keys" with one key of each kind and some that are odd, and "other" with one key."""
    directory = tmp_path_factory.mktemp("softhsm")
    (directory / "tokens").mkdir()
    (directory / "softhsm2.conf").write_text(f"directories.tokendir = {directory}/tokens\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(directory / "softhsm2.conf"))
        for label in ("keys", "other"):
            softhsm("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "1234")
        for token, kind in [*(("keys", kind) for kind in KEYS), ("other", "P-256")]:
            file = directory / f"{kind}.pem"
            file.write_text(pem(kind))
            where = ("--token", token, "--label", kind, "--id", IDS[kind].hex(), "--pin", PIN)
            softhsm("--import", str(file), *where)
        make_odd_keys()
        yield directory / "tokens"
        module().finalize()


def make_odd_keys():
    """Keys that were made on the token: one that may not sign, one without its public half, one that wants the PIN."""
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    with module().get_token(token_label="keys").open(rw=True, user_pin=PIN) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        for label, options in {
            "derives": {"capabilities": pkcs11.MechanismFlag.DERIVE},
            "alone": {},
            "twice": {},
            "careful": {"private_template": {pkcs11.Attribute.ALWAYS_AUTHENTICATE: True}},
        }.items():
            parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
            public, _ = parameters.generate_keypair(label=label, id=label.encode(), store=True, **options)
            if label == "alone":
                public.destroy()
        parameters.generate_keypair(label="twice", id=b"2", store=True)
        public, _ = session.generate_keypair(pkcs11.KeyType.RSA, 2048, label="rsa alone", store=True)
        public.destroy()


def module():
    import pkcs11

    return pkcs11.lib(str(MODULE))


@pytest.fixture(autouse=True)
def logged_out(tokens):
    """Each test begins with a module that nobody has used, for a login is good for the whole process."""
    module().finalize()
    yield
    ours._modules.clear()


def signer_of(label="P-256", *, token="keys", pin=PIN, **options):
    return Pkcs11Signer(MODULE, token_label=token, key_label=label, pin=pin, **options)


@pytest.mark.parametrize(("algorithm", "kind"), KIND_OF.items())
def test_a_signature_verifies(algorithm, kind):
    signer = signer_of(kind)
    assert algorithm in signer.algorithms
    assert signs(signer, private_key(kind).public_key(), algorithm)
    assert public_key_of(signer) == private_key(kind).public_key()


def test_the_public_half_names_no_kid_and_nothing_private():
    assert signer_of("P-256").public_jwk.keys() == {"kty", "crv", "x", "y"}
    assert signer_of("RSA").public_jwk.keys() == {"kty", "n", "e"}


@pytest.mark.parametrize("name", [{"key_id": IDS["P-256"]}, {"key_id": IDS["P-256"], "key_label": "P-256"}])
def test_a_key_is_found_by_its_id(name):
    signer = Pkcs11Signer(str(MODULE), token_label="keys", pin=Secret(PIN), **name)
    assert signs(signer, private_key("P-256").public_key())
    assert repr(signer) in {"Pkcs11Signer(keys/0b)", "Pkcs11Signer(keys/P-256)"}


def test_a_program_gets_in_with_a_key_that_never_left_the_token():
    assert gets_in(signer_of())


def test_an_rsa_key_has_its_public_half_with_it():
    signer = signer_of("rsa alone")
    assert signs(signer, public_key_of(signer), "PS256")


def test_a_key_that_wants_the_pin_for_each_signature_gets_it():
    signer = signer_of("careful")
    assert all(signs(signer, public_key_of(signer)) for _ in range(3))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"label": "nothing"}, "signer_key_missing"),
        ({"token": "nowhere"}, "signer_key_missing"),
        ({"key_id": b"?"}, "signer_key_missing"),
        ({"pin": None}, "signer_key_missing"),
        ({"label": "derives"}, "signer_key_unusable"),
        ({"label": "alone"}, "signer_key_unusable"),
        ({"label": "twice"}, "signer_key_unusable"),
        ({"pin": "1"}, "signer_refused"),
        ({"pin": "canary-4712"}, "signer_refused"),
    ],
    ids=str,
)
def test_what_will_not_do_is_final(options, code):
    signer = signer_of(**options)
    error = refusal(signer)
    assert error.code == code
    assert_hidden(error, PIN, "canary-4712")


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("PinLocked", ConfigurationError, "signer_refused"),
        ("UserNotLoggedIn", ConfigurationError, "signer_refused"),
        ("MechanismInvalid", ConfigurationError, "signer_key_unusable"),
        ("MultipleTokensReturned", ConfigurationError, "signer_key_unusable"),
        ("DeviceRemoved", UnreachableError, "signer_unreachable"),
        ("GeneralError", UnreachableError, "signer_unreachable"),
        ("PKCS11Error", UnreachableError, "signer_unreachable"),
    ],
)
def test_what_the_token_says_is_final_or_worth_another_try(monkeypatch, name, error, code):
    from pkcs11 import exceptions

    def fail(*_):
        raise getattr(exceptions, name)

    monkeypatch.setattr(ours._Module, "use", fail)
    assert refusal(signer_of(), error).code == code


def test_a_key_among_two_of_one_label_is_told_by_its_id():
    assert signer_of("twice", key_id=b"2").public_jwk != signer_of("twice", key_id=b"twice").public_jwk


def test_an_algorithm_of_another_kind_of_key_is_refused():
    assert refusal(signer_of(), algorithm="RS256").code == "key_algorithm_mismatch"


def test_a_pin_that_was_refused_is_not_tried_again():
    asked: list[str] = []
    pins = ["canary-wrong", "canary-wrong", PIN]

    def read_pin():
        asked.append(pins[len(asked)])
        return asked[-1]

    signer = signer_of(pin=read_pin)
    first, second = refusal(signer), refusal(signer)
    assert first.code == second.code == "signer_refused"
    assert "PinIncorrect" in str(first)
    assert "may lock itself" in str(second)
    assert_hidden(first, "canary-wrong")
    assert_hidden(second, "canary-wrong")
    assert_stays_here(signer, "canary-wrong", PIN)
    assert all(signs(signer, private_key("P-256").public_key()) for _ in range(2))
    assert asked == pins


def test_a_function_that_gives_no_pin_is_told_of_without_its_words():
    def read_pin():
        raise OSError("canary-words")

    for pin in (read_pin, lambda: None):
        error = refusal_of_pin(pin)
        assert_hidden(error, "canary-words")


def refusal_of_pin(pin):
    with pytest.raises(ConfigurationError) as caught:
        signer_of(pin=pin).sign("ES256", DATA)
    assert caught.value.__context__ is None
    assert caught.value.code in {"signer_failed", "secret_invalid"}
    return caught.value


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"pin": Secret.env("PIN"), "key_label": "key"}, "pin_invalid"),
        ({"pin": 4711, "key_label": "key"}, "secret_invalid"),
        ({}, "key_label_invalid"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_once(options, code):
    with pytest.raises(ConfigurationError) as caught:
        Pkcs11Signer(MODULE, token_label="keys", **options)
    assert caught.value.code == code


def test_nothing_is_loaded_before_the_first_use_and_a_module_that_is_none_is_named(tmp_path):
    signer = Pkcs11Signer(tmp_path / "none.so", token_label="keys", key_label="key")
    with pytest.raises(ConfigurationError, match=r"none\.so") as caught:
        signer.sign("ES256", DATA)
    assert caught.value.code == "module_invalid"


def test_two_signers_share_a_token_and_a_login_of_other_code():
    import pkcs11

    with module().get_token(token_label="keys").open(user_pin=PIN) as session:
        for kind in ("P-256", "RSA"):
            assert signs(signer_of(kind), private_key(kind).public_key())
        assert session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label="P-256")


def test_a_signer_without_a_pin_does_not_spoil_the_one_that_has_it():
    assert refusal(signer_of(pin=None)).code == "signer_key_missing"
    assert signs(signer_of(), private_key("P-256").public_key())


def test_a_session_that_died_is_opened_anew():
    signer = signer_of()
    assert signs(signer, private_key("P-256").public_key())
    module().finalize()
    assert signs(signer, private_key("P-256").public_key())


def test_a_token_that_was_pulled_out_can_be_put_back(tokens):
    (token,) = (path for path in tokens.iterdir() if len(list(path.glob("*.object"))) == 3)  # itself, and one key
    signer = signer_of(token="other")
    assert signs(signer, private_key("P-256").public_key())
    module().finalize()
    token.rename(tokens.parent / "pulled-out")
    assert refusal(signer, UnreachableError).code == "signer_unreachable"
    module().finalize()
    (tokens.parent / "pulled-out").rename(token)
    assert signs(signer, private_key("P-256").public_key())


def test_a_module_that_hangs_is_not_waited_for_without_end(monkeypatch):
    signer = signer_of()
    monkeypatch.setattr(ours, "_TURN_TIMEOUT_S", 0.01)
    with signer._module._mutex.lock, pytest.raises(UnreachableError) as caught:
        signer.sign("ES256", DATA)
    assert caught.value.code == "signer_unreachable"
    assert caught.value.retryable


def test_threads_may_sign_at_once():
    assert_signs_in_threads(signer_of(), private_key("P-256").public_key())


@needs_fork
def test_a_forked_child_opens_the_token_for_itself():
    signer, key = signer_of(), private_key("P-256").public_key()
    assert signs(signer, key)
    assert in_child(lambda: signs(signer, key)) is True
    assert in_child(lambda: signs(signer_of("RSA"), private_key("RSA").public_key())) is True
    assert signs(signer, key)


def test_without_its_library_it_says_what_to_install(monkeypatch):
    assert_needs(signer_of(), "pkcs11", "pkcs11", monkeypatch)
