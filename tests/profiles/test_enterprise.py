"""Enterprise-managed authorization: two servers, two clients, and each secret only where it belongs."""

from __future__ import annotations

from typing import Any

import jwt as pyjwt
import pytest
from canary import assert_hidden
from errands import (
    AS,
    DEPLOYMENTS,
    ISSUED,
    RS,
    TOKEN,
    a_proof_key,
    errand,
    form,
    header,
    known,
    refusal,
    server,
    target,
)
from scripted import ScriptedWorld, json_response

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.http import HttpRequest, HttpResponse
from gatepass.core.secret import FileReference, Secret
from gatepass.discovery import KnownServer
from gatepass.errors import ConfigurationError, GatepassError, RemoteError, UnreachableError
from gatepass.profiles.enterprise import EnterpriseAuthorization, IdentityProvider
from gatepass.profiles.obtain import obtain

NOW = 1_700_000_000
IDP = "https://idp.example"
IDP_TOKEN = f"POST {IDP}/token"
IDP_METADATA = f"GET {IDP}/.well-known/oauth-authorization-server"
URN = "urn:ietf:params:oauth:token-type:"
ID_JAG = json_response({"access_token": "canary.id.jag", "token_type": "N_A", "issued_token_type": f"{URN}id-jag"})
AT_THE_IDP = ClientSecret("app-at-the-idp", "canary-idp-secret", "client_secret_post")
HERE = ClientSecret("app", "canary-secret", "client_secret_post")
PROVIDER = IdentityProvider(IDP, AT_THE_IDP, f"{IDP}/token")


def id_token(**claims: object) -> str:
    return pyjwt.encode({"sub": "alice", **claims}, "k" * 32, "HS256")


def profile(**arguments: Any) -> EnterpriseAuthorization:
    return EnterpriseAuthorization(**({"client": HERE, "idp": PROVIDER, "subject_token": id_token()} | arguments))


def idp_metadata(**members: Any) -> HttpResponse:
    return json_response({"issuer": IDP, "token_endpoint": f"{IDP}/token"} | members)


@pytest.mark.parametrize(("fields", "besides"), DEPLOYMENTS)
def test_it_takes_the_two_steps_of_sep_990(fields: dict[str, Any], besides: dict[str, str]) -> None:
    with ScriptedWorld([(IDP_TOKEN, ID_JAG), (TOKEN, ISSUED)]) as world:
        issued = profile().grant(world, errand(target(**fields), scopes=("a",)))
    assert issued.token.access_token.reveal() == "the-token"
    first, second = map(form, world.requests)
    assert first == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": f"{URN}id-jag",
        "audience": AS,
        "resource": fields.get("resource", RS),
        "scope": "a",
        "subject_token": id_token(),
        "subject_token_type": f"{URN}id_token",
        "client_id": "app-at-the-idp",
        "client_secret": "canary-idp-secret",
    }
    assert second == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "canary.id.jag",
        "scope": "a",
        "client_id": "app",
        "client_secret": "canary-secret",
        **besides,
    }


def test_the_token_is_bound_to_the_key_and_the_id_jag_to_none() -> None:
    bound = json_response({"access_token": "the-token", "token_type": "DPoP"})
    with ScriptedWorld([(IDP_TOKEN, ID_JAG), (TOKEN, bound)]) as world:
        profile().grant(world, errand(proof_key=a_proof_key()))
    assert [header(request, "DPoP") is not None for request in world.requests] == [False, True]


# the identity provider's metadata


def test_the_metadata_of_the_identity_provider_is_read_once_while_it_may_be_kept() -> None:
    idp = IdentityProvider(IDP, AT_THE_IDP)
    script = [
        (IDP_METADATA, idp_metadata()), (IDP_TOKEN, ID_JAG), (TOKEN, ISSUED),
        (IDP_TOKEN, ID_JAG), (TOKEN, ISSUED),
        (IDP_METADATA, idp_metadata(token_endpoint=f"{IDP}/v2")), (f"POST {IDP}/v2", ID_JAG), (TOKEN, ISSUED),
    ]  # fmt: skip
    with ScriptedWorld(script) as world:
        profile(idp=idp).grant(world, errand())
        kept = world.recall(KnownServer, IDP)
        assert kept is not None
        world.advance(kept.cache_s - 1)
        profile(idp=idp).grant(world, errand())
        world.advance(1)
        profile(idp=idp).grant(world, errand())


def test_an_identity_provider_whose_metadata_is_someone_else_s_is_not_used() -> None:
    script = [(IDP_METADATA, idp_metadata(issuer="https://other.example"))]
    with ScriptedWorld(script) as world, pytest.raises(RemoteError) as failure:
        profile(idp=IdentityProvider(IDP, AT_THE_IDP)).grant(world, errand())
    assert failure.value.code == "issuer_mismatch"
    assert world.records == {}


@pytest.mark.parametrize("side", ["the authorization server", "the identity provider"])
def test_what_either_server_does_not_offer_is_refused_before_the_identity_is_read(side: str) -> None:
    other: dict[str, Any] = {"token_endpoint_auth_methods_supported": ("private_key_jwt",)}
    here = server(**other) if side == "the authorization server" else server()
    script = [] if side == "the authorization server" else [(IDP_METADATA, idp_metadata(**other))]
    with ScriptedWorld(script) as world, pytest.raises(ConfigurationError) as failure:
        profile(idp=IdentityProvider(IDP, AT_THE_IDP), subject_token=lambda _: id_token()).grant(
            world, errand(server=here)
        )
    assert failure.value.code == "method_not_offered"
    assert world.audiences == []


MOVED = (f"POST {IDP}/v2", ID_JAG)


@pytest.mark.parametrize(
    "gone", [HttpResponse(status=404), HttpResponse(status=410), UnreachableError("No.", code="unreachable")], ids=str
)
def test_an_identity_provider_that_has_moved_is_looked_up_again(gone: Any) -> None:
    idp = IdentityProvider(IDP, AT_THE_IDP)
    script = [
        (IDP_METADATA, idp_metadata()), (IDP_TOKEN, ID_JAG), (TOKEN, ISSUED),
        (IDP_TOKEN, gone), (IDP_METADATA, idp_metadata(token_endpoint=f"{IDP}/v2")), MOVED, (TOKEN, ISSUED),
        MOVED, (TOKEN, ISSUED),
    ]  # fmt: skip
    with ScriptedWorld(script) as world:
        for _ in range(3):
            profile(idp=idp).grant(world, errand())
    assert [(notice.code, notice.level) for notice in world.notices] == [("token_endpoint_moved", "warning")]
    assert f"{IDP}/v2" in world.notices[0].text


@pytest.mark.parametrize(
    "metadata",
    [idp_metadata(), HttpResponse(status=503), idp_metadata(issuer="https://other.example")],
    ids=["the same", "in trouble", "someone else's"],
)
def test_one_that_has_not_moved_is_not_asked_twice(metadata: Any) -> None:
    script = [
        (IDP_METADATA, idp_metadata()), (IDP_TOKEN, HttpResponse(status=404)), (IDP_METADATA, metadata),
    ]  # fmt: skip
    with ScriptedWorld(script) as world, pytest.raises(RemoteError, match="At the identity provider") as failure:
        profile(idp=IdentityProvider(IDP, AT_THE_IDP)).grant(world, errand())
    assert failure.value.status == 404
    assert_hidden(failure.value, id_token(), "canary")


@pytest.mark.parametrize(
    ("idp", "script"),
    [
        (PROVIDER, [(IDP_TOKEN, HttpResponse(status=404))]),
        (
            IdentityProvider(IDP, AT_THE_IDP),
            [(IDP_METADATA, idp_metadata()), (IDP_TOKEN, refusal("invalid_grant", status=404))],
        ),
    ],
    ids=["its token endpoint was given", "it says why"],
)
def test_nothing_is_looked_up_where_that_is_no_use(idp: IdentityProvider, script: list[Any]) -> None:
    with ScriptedWorld(script) as world, pytest.raises(RemoteError):
        profile(idp=idp).grant(world, errand())


# who the user is


def test_an_id_token_is_for_whoever_the_identity_provider_made_it_for() -> None:
    given = id_token(aud="another-app")
    with ScriptedWorld([(IDP_TOKEN, ID_JAG), (TOKEN, ISSUED)]) as world:
        profile(subject_token=given).grant(world, errand())
    assert form(world.requests[0])["subject_token"] == given


def test_the_identity_is_read_anew_for_each_token_and_is_for_the_client_at_the_identity_provider() -> None:
    async def source(client_id: str) -> str:
        return id_token(aud=client_id)

    for each in (source, lambda client_id: f"{id_token(aud=client_id)}\n"):
        with ScriptedWorld([(IDP_TOKEN, ID_JAG), (TOKEN, ISSUED)]) as world:
            profile(subject_token=each).grant(world, errand())
        assert world.audiences == ["app-at-the-idp"]
        assert form(world.requests[0])["subject_token"] == id_token(aud="app-at-the-idp")
    place = FileReference("/id")
    with ScriptedWorld([(IDP_TOKEN, ID_JAG), (TOKEN, ISSUED)] * 2, secrets={place: id_token(n=1)}) as world:
        profile(subject_token=Secret.file("/id")).grant(world, errand())
        world.secrets[place] = id_token(n=2)
        profile(subject_token=Secret.file("/id")).grant(world, errand())
    assert [form(request)["subject_token"] for request in world.requests[::2]] == [id_token(n=1), id_token(n=2)]


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("saml2", f"{URN}saml2"),
        ("refresh_token", f"{URN}refresh_token"),
        ("urn:example:badge", "urn:example:badge"),
    ],
)
def test_another_kind_of_identity_is_sent_as_it_is(said: str, sent: str) -> None:
    with ScriptedWorld([(IDP_TOKEN, ID_JAG), (TOKEN, ISSUED)]) as world:
        profile(subject_token="no JWT at all\n", subject_token_type=said).grant(world, errand())
    first = form(world.requests[0])
    assert (first["subject_token"], first["subject_token_type"]) == ("no JWT at all", sent)


@pytest.mark.parametrize("said", ["id_token", f"{URN}id_token"])
@pytest.mark.parametrize(
    ("given", "code"), [(id_token(exp=NOW), "assertion_expired"), ("canary-opaque", "assertion_invalid")]
)
def test_an_id_token_that_is_no_good_is_not_sent(said: str, given: str, code: str) -> None:
    with ScriptedWorld([], wall=NOW) as world, pytest.raises(ConfigurationError, match="subject_token") as failure:
        profile(subject_token=given, subject_token_type=said).grant(world, errand())
    assert failure.value.code == code
    assert_hidden(failure.value, given, "canary")


# who refused


REFUSED: dict[str, tuple[list[Any], str]] = {
    "the identity provider": ([], IDP_TOKEN),
    "the authorization server": ([(IDP_TOKEN, ID_JAG)], TOKEN),
}


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "access_denied"])
@pytest.mark.parametrize("whose", REFUSED)
def test_a_refusal_is_final_says_whose_it_is_and_no_secret(whose: str, error: str) -> None:
    def refuses(request: HttpRequest) -> HttpResponse:
        return refusal(error, description=f"{' '.join(form(request).values())} {request.body.decode()}")

    before, place = REFUSED[whose]
    with ScriptedWorld([*before, (place, refuses)]) as world, pytest.raises(RemoteError) as failure:
        obtain(world, profile(), known())
    assert (failure.value.error, failure.value.code) == (error, "token_refused")
    assert ("At the identity provider https://idp.example: " in str(failure.value)) is (place == IDP_TOKEN)
    assert_hidden(failure.value, id_token(), "canary")


def test_what_the_identity_provider_gives_instead_of_an_id_jag_is_not_passed_on() -> None:
    other = json_response({"access_token": "canary-token", "token_type": "Bearer", "expires_in": 60})
    with ScriptedWorld([(IDP_TOKEN, other)]) as world, pytest.raises(RemoteError, match="At the identity") as failure:
        obtain(world, profile(), known())
    assert_hidden(failure.value, "canary")


# arguments


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"client": "canary-secret"}, "client_invalid"),
        ({"client": None}, "client_invalid"),
        ({"client": ClientSecret}, "client_invalid"),
        ({"idp": IDP}, "idp_invalid"),
        ({"idp": None}, "idp_invalid"),
        ({"subject_token": None}, "subject_token_invalid"),
        ({"subject_token": b"canary"}, "subject_token_invalid"),
        ({"subject_token_type": "access_token"}, "subject_token_type_invalid"),
        ({"subject_token_type": ""}, "subject_token_type_invalid"),
        ({"subject_token_type": None}, "subject_token_type_invalid"),
        ({"subject": ""}, "subject_invalid"),
        ({"subject": "a\nb"}, "subject_invalid"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        profile(**({"subject_token": "canary.b.c"} | arguments))
    assert failure.value.code == code
    assert code.removesuffix("_invalid") in str(failure.value)
    assert_hidden(failure.value, "canary")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        ((IDP, "canary-secret"), "client_invalid", "client"),
        (("http://idp.example", "canary-secret"), "client_invalid", "client"),
        ((IDP, None), "client_invalid", "client"),
        (("http://idp.example", AT_THE_IDP), "insecure_url", "issuer"),
        (("idp.example", AT_THE_IDP), "issuer_invalid", "issuer"),
        ((f"{IDP}?x", AT_THE_IDP), "issuer_invalid", "issuer"),
        ((IDP, AT_THE_IDP, "http://idp.example/token"), "insecure_url", "token_endpoint"),
        ((IDP, AT_THE_IDP, "token"), "url_invalid", "token_endpoint"),
    ],
)
def test_an_identity_provider_that_does_not_fit_is_refused_by_name(
    arguments: tuple[Any, ...], code: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as failure:
        IdentityProvider(*arguments)
    assert failure.value.code == code
    assert_hidden(failure.value, "canary")


def test_the_identity_tells_users_and_clients_apart_and_holds_no_secret() -> None:
    each = [
        profile(),
        profile(subject="alice"),
        profile(subject="bob"),
        profile(client=PublicClient("other")),
        profile(idp=IdentityProvider(IDP, AT_THE_IDP)),
        profile(idp=IdentityProvider("https://other.example", AT_THE_IDP, f"{IDP}/token")),
        profile(idp=IdentityProvider(IDP, PublicClient("other"), f"{IDP}/token")),
        profile(subject_token_type="saml2"),
        profile(subject_token=Secret.file("/alice")),
    ]
    assert len({one.identity for one in each}) == len(each)
    assert "canary" not in repr([(one, one.identity) for one in each])
    assert id_token() not in repr(profile())


def test_it_says_what_its_tokens_depend_on() -> None:
    place = Secret.file("/alice")
    assert profile(subject_token=place).secrets == (place, *AT_THE_IDP.secrets, *HERE.secrets)
    assert profile(subject_token=lambda _: "").secrets == (*AT_THE_IDP.secrets, *HERE.secrets)


def test_it_acts_for_a_user_who_must_be_named_and_asks_nobody() -> None:
    assert (profile().traits.subject_missing, profile(subject="alice").traits.subject_missing) == (True, False)
    assert (profile().traits.portable, profile().traits.attended, profile().traits.patience_s) == (False, False, 10.0)
    assert profile().traits.extension == "io.modelcontextprotocol/enterprise-managed-authorization"
    assert profile().client_of(ScriptedWorld(), server(), "any") is HERE
    assert profile().disowned(ScriptedWorld(), server(), "any") is False


def test_an_unreachable_identity_provider_is_told_without_secrets() -> None:
    with ScriptedWorld([(IDP_TOKEN, HttpResponse(status=503))]) as world, pytest.raises(GatepassError) as failure:
        profile().grant(world, errand())
    assert failure.value.retryable
    assert_hidden(failure.value, id_token(), "canary")
