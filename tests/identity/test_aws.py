from __future__ import annotations

import pytest
from canary import assert_hidden
from identity.stand_ins.aws import Sts
from identity.stand_ins.tokens import AUDIENCE

from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.identity import AwsWebIdentity


@pytest.fixture
def sts(monkeypatch):
    with Sts(monkeypatch) as sts:
        yield sts


def test_sts_is_told_what_was_configured(sts):
    AwsWebIdentity(signing_algorithm="RS256", duration_s=900)(AUDIENCE)
    (form,) = sts.forms
    assert (form["SigningAlgorithm"], form["DurationSeconds"]) == ("RS256", "900")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDenied", "sts:GetWebIdentityToken"),
        ("OutboundWebIdentityFederationDisabledException", "Enable outbound web identity federation"),
        ("SessionDurationEscalationException", "duration_s"),
        ("ExpiredToken", "have expired"),
        ("InvalidClientTokenId", "does not know the credentials"),
    ],
)
def test_a_refusal_that_is_known_says_what_to_do(sts, code, hint):
    sts.code = code
    sts.fail(403)
    with pytest.raises(ConfigurationError, match=hint) as caught:
        AwsWebIdentity()(AUDIENCE)
    assert code in str(caught.value)
    assert (caught.value.code, caught.value.status) == ("workload_token_refused", 403)


def test_a_code_that_is_not_known_is_not_passed_on(sts):
    sts.code = "canary"
    sts.fail(400)
    with pytest.raises(ConfigurationError, match="status 400") as caught:
        AwsWebIdentity()(AUDIENCE)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("status", "code"), [(400, "Throttling"), (503, "ServiceUnavailable")])
def test_sts_is_asked_once(sts, status, code):
    sts.code = code
    sts.fail(status)
    with pytest.raises(UnreachableError) as caught:
        AwsWebIdentity()(AUDIENCE)
    assert (caught.value.code, caught.value.status) == ("workload_token_unavailable", status)
    assert len(sts.wire.visits) == 1


def test_a_region_is_needed(sts, monkeypatch):
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(ConfigurationError, match="AWS_REGION") as caught:
        AwsWebIdentity()(AUDIENCE)
    assert caught.value.code == "region_invalid"
    assert AwsWebIdentity(region="eu-west-1")(AUDIENCE) == sts.given[-1]


def test_credentials_are_needed(sts, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "bot")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigurationError, match="no AWS credentials") as caught:
        AwsWebIdentity()(AUDIENCE)
    assert caught.value.code == "workload_token_refused"


def test_on_eks_the_projected_token_gets_credentials_and_goes_nowhere_else(sts, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("canary-projected")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bot")
    assert AwsWebIdentity()(AUDIENCE) == sts.given[-1]
    assert sts.assumed == ["canary-projected"]
    sts.fail(403)
    with pytest.raises(ConfigurationError, match="AssumeRoleWithWebIdentity that failed") as caught:
        AwsWebIdentity()(AUDIENCE)
    assert_hidden(caught.value, "canary")


def test_a_profile_that_is_not_there_is_an_error_of_ours(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(ConfigurationError, match="ProfileNotFound") as caught:
        AwsWebIdentity()(AUDIENCE)
    assert caught.value.code == "workload_token_failed"


@pytest.mark.parametrize(("vendor", "here"), [("Amazon EC2\n", True), ("QEMU", False)])
def test_the_firmware_tells(firmware, vendor, here):
    (firmware / "sys_vendor").write_text(vendor)
    assert AwsWebIdentity().here() is here


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"signing_algorithm": "ES256"}, "signing_algorithm_invalid"),
        ({"duration_s": 59}, "duration_invalid"),
        ({"duration_s": 3601}, "duration_invalid"),
        ({"duration_s": "300"}, "duration_invalid"),
        ({"region": ""}, "region_invalid"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(named, code):
    with pytest.raises(ConfigurationError, match=next(iter(named))) as caught:
        AwsWebIdentity(**named)
    assert caught.value.code == code


def test_what_was_configured_is_its_identity():
    assert AwsWebIdentity().identity == ("AWS", "signing_algorithm=ES384", "duration_s=300")
