from __future__ import annotations

import pytest
from identity.stand_ins.azure import Azure
from identity.stand_ins.place import JSON, Request, as_json
from identity.stand_ins.tokens import AUDIENCE, issued
from wire import Wire, response

from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.identity import AzureManagedIdentity, AzureWorkload, azure

EXCHANGE = "api://AzureADTokenExchange"


@pytest.fixture
def imds(monkeypatch):
    with Azure(monkeypatch) as imds:
        yield imds


def test_a_user_assigned_identity_is_named(imds):
    imds.client_ids = ("of-the-bot",)
    source = AzureManagedIdentity(client_id="of-the-bot")
    assert source(AUDIENCE) == imds.given[-1]
    assert source.identity == ("Azure managed identity", "client_id=of-the-bot")
    assert AzureManagedIdentity().identity == ("Azure managed identity",)


def test_an_identity_that_is_not_there_is_a_refusal(imds):
    with pytest.raises(ConfigurationError, match="See that the machine has this identity") as caught:
        AzureManagedIdentity(client_id="of-another")(AUDIENCE)
    assert (caught.value.code, caught.value.status) == ("workload_token_refused", 400)
    assert AUDIENCE in str(caught.value)


def test_the_audience_of_the_token_may_be_the_client_id_of_the_resource(imds):
    imds.give(lambda _: issued("11111111-2222-3333-4444-555555555555"))
    assert AzureManagedIdentity()("api://mcp") == imds.given[-1]
    assert imds.asked == ["api://mcp"]


@pytest.mark.parametrize("status", [410, 429, 500, 503])
def test_it_asks_once(imds, status):
    imds.fail(status)
    with pytest.raises(UnreachableError, match=f"status {status}") as caught:
        AzureManagedIdentity()(AUDIENCE)
    assert caught.value.status == status
    assert len(imds.wire.visits) == 1


def test_an_answer_without_a_token_makes_no_sense(imds):
    imds.say(response(b"{}", JSON))
    with pytest.raises(UnreachableError, match="makes no sense"):
        AzureManagedIdentity()(AUDIENCE)


def test_app_service_is_asked_in_its_own_way(monkeypatch):
    token = issued(AUDIENCE)
    seen: list[Request] = []

    def answer(visit):
        seen.append(Request(visit))
        visit.say(response(as_json({"access_token": token, "expires_on": "1999999999", "resource": AUDIENCE}), JSON))

    with Wire(answer) as wire:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{wire.where}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "canary-header")
        assert AzureManagedIdentity()(AUDIENCE) == token
    (request,) = seen
    assert request.headers["x-identity-header"] == "canary-header"
    assert request.query["resource"] == AUDIENCE


@pytest.mark.parametrize(("tag", "here"), [(f"{azure._ASSET_TAG}\n", True), ("another", False)])
def test_the_firmware_tells(firmware, tag, here):
    (firmware / "chassis_asset_tag").write_text(tag)
    assert AzureManagedIdentity().here() is here


@pytest.mark.parametrize("variable", ["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE"])
def test_a_variable_tells(monkeypatch, variable):
    monkeypatch.setenv(variable, "something")
    assert AzureManagedIdentity().here()


def test_a_set_up_that_is_half_there_is_an_error_of_ours(monkeypatch, tmp_path):
    for name in ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        AzureManagedIdentity()(AUDIENCE)  # whose AZURE_CLIENT_ID is missing
    assert caught.value.code == "workload_token_failed"


@pytest.mark.parametrize("client_id", ["", "a\nb"])
def test_a_client_id_is_a_text(client_id):
    with pytest.raises(ConfigurationError, match="client_id") as caught:
        AzureManagedIdentity(client_id=client_id)
    assert caught.value.code == "client_id_invalid"


def test_the_federated_token_is_given_away_for_its_own_audience_only(monkeypatch, tmp_path):
    (tmp_path / "token").write_text(issued(EXCHANGE))
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    assert AzureWorkload()(EXCHANGE) == (tmp_path / "token").read_text()
    with pytest.raises(ConfigurationError, match=EXCHANGE) as caught:
        AzureWorkload()(AUDIENCE)
    assert caught.value.code == "workload_token_audience"


def test_a_federated_token_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError, match="gone") as caught:
        AzureWorkload()(AUDIENCE)
    assert caught.value.code == "workload_token_unreadable"
