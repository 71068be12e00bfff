"""A workload that its platform vouches for: which JWT, for whom, and that a refusal is final."""

from __future__ import annotations

from typing import Any

import jwt as pyjwt
import pytest
from canary import assert_hidden
from errands import AS, DEPLOYMENTS, ISSUED, TOKEN, errand, form, known, refusal, server, target
from scripted import ScriptedWorld

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.client_auth.public_client import PublicClient
from gatepass.core.secret import FileReference, Secret
from gatepass.errors import ConfigurationError, GatepassError, UnreachableError
from gatepass.profiles.obtain import obtain
from gatepass.profiles.workload_identity import WorkloadIdentity

NOW = 1_700_000_000
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PLACE = FileReference("/var/run/token")


def a_jwt(**claims: object) -> str:
    return pyjwt.encode({"sub": "spiffe://example.com/ci", **claims}, "k" * 32, "HS256")


class Platform:
    """A source with an identity of its own."""

    identity = ("platform", 7)

    def __call__(self, audience: str) -> str:
        return a_jwt(aud=audience)


@pytest.mark.parametrize(("fields", "besides"), DEPLOYMENTS)
def test_the_jwt_says_it_all(fields: dict[str, Any], besides: dict[str, str]) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        issued = WorkloadIdentity(a_jwt()).grant(world, errand(target(**fields), scopes=("a",)))
    assert issued.token.access_token.reveal() == "the-token"
    assert form(world.requests[0]) == {"grant_type": GRANT, "assertion": a_jwt(), "scope": "a", **besides}


@pytest.mark.parametrize("client", ["app", PublicClient("app")])
def test_a_client_id_goes_along_where_there_is_one(client: Any) -> None:
    with ScriptedWorld([(TOKEN, ISSUED)]) as world:
        WorkloadIdentity(a_jwt(), client=client).grant(world, errand())
    assert form(world.requests[0])["client_id"] == "app"


@pytest.mark.parametrize(
    ("audience", "told"), [("issuer", AS), ("token_endpoint", f"{AS}/token"), ("api://gate", "api://gate")]
)
def test_a_source_is_told_the_audience(audience: str, told: str) -> None:
    async def source(aud: str) -> str:
        return f" {a_jwt(aud=aud)}\n"

    for each in (Platform(), source):
        with ScriptedWorld([(TOKEN, ISSUED)]) as world:
            WorkloadIdentity(each, audience=audience).grant(world, errand())
        assert form(world.requests[0])["assertion"] == a_jwt(aud=told)
        assert world.audiences == [told]


def test_the_jwt_is_read_anew_for_each_token() -> None:
    profile = WorkloadIdentity(Secret.file(PLACE.path))
    with ScriptedWorld([(TOKEN, ISSUED)] * 2, secrets={PLACE: a_jwt(n=1) + "\n"}) as world:
        profile.grant(world, errand())
        world.secrets[PLACE] = a_jwt(n=2)
        profile.grant(world, errand())
    assert [form(request)["assertion"] for request in world.requests] == [a_jwt(n=1), a_jwt(n=2)]


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "unsupported_grant_type"])
def test_a_refusal_is_final_and_no_other_grant_is_tried(error: str) -> None:
    given = a_jwt()
    with ScriptedWorld([(TOKEN, refusal(error, description=given))]) as world, pytest.raises(GatepassError) as failure:
        obtain(world, WorkloadIdentity(given, client=ClientSecret("app", "canary")), known())
    assert (failure.value.error, failure.value.retryable) == (error, False)
    assert_hidden(failure.value, given, "canary")


def test_what_the_server_does_not_offer_is_refused_before_the_jwt_is_read() -> None:
    profile = WorkloadIdentity(Platform(), client=ClientSecret("app", "s"))
    with ScriptedWorld([]) as world, pytest.raises(ConfigurationError) as failure:
        profile.grant(world, errand(server=server(token_endpoint_auth_methods_supported=("none",))))
    assert failure.value.code == "method_not_offered"
    assert world.audiences == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (a_jwt(exp=NOW), "assertion_expired"),
        ("canary-opaque-token", "assertion_invalid"),
        (a_jwt(exp="soon"), "assertion_invalid"),
    ],
)
@pytest.mark.parametrize("where", ["literal", "file", "callable"])
def test_what_is_no_good_is_not_sent(given: str, code: str, where: str) -> None:
    sources: dict[str, Any] = {"literal": given, "file": Secret.file(PLACE.path), "callable": lambda _: given}
    world = ScriptedWorld([], wall=NOW, secrets={PLACE: given})
    with world, pytest.raises(ConfigurationError, match="source") as failure:
        WorkloadIdentity(sources[where]).grant(world, errand())
    assert failure.value.code == code
    assert (PLACE.path in str(failure.value)) == (where == "file")
    assert_hidden(failure.value, given)


@pytest.mark.parametrize("where", ["literal", "file", "callable"])
def test_what_is_for_somebody_else_is_not_given_away(where: str) -> None:
    given = a_jwt(aud="https://kubernetes.default.svc")
    sources: dict[str, Any] = {"literal": given, "file": Secret.file(PLACE.path), "callable": lambda _: given}
    world = ScriptedWorld([], secrets={PLACE: given})
    with world, pytest.raises(ConfigurationError, match=r"https://kubernetes\.default\.svc") as failure:
        WorkloadIdentity(sources[where]).grant(world, errand())
    assert failure.value.code == "workload_token_audience"
    assert AS in str(failure.value)
    assert_hidden(failure.value, given)


def test_a_source_that_is_not_here_or_fails_fails_the_mint() -> None:
    def failing(_: str) -> str:
        raise UnreachableError("The token service did not answer.", retryable=True)

    with ScriptedWorld([]) as world, pytest.raises(ConfigurationError) as failure:
        WorkloadIdentity(lambda _: None).grant(world, errand())
    assert failure.value.code == "assertion_source_absent"
    with ScriptedWorld([]) as world, pytest.raises(UnreachableError):
        WorkloadIdentity(failing).grant(world, errand())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"source": 5}, "source_invalid"),
        ({"source": None}, "source_invalid"),
        ({"source": b"canary.a.b"}, "source_invalid"),
        ({"client": 5}, "client_invalid"),
        ({"client": b"canary"}, "client_invalid"),
        ({"client": ClientSecret}, "client_invalid"),
        ({"client": ""}, "client_id_invalid"),
        ({"audience": ""}, "audience_invalid"),
        ({"audience": "a\nb"}, "audience_invalid"),
        ({"subject": ""}, "subject_invalid"),
        ({"subject": 5}, "subject_invalid"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        WorkloadIdentity(**({"source": "canary.b.c"} | arguments))
    assert failure.value.code == code
    assert code.removesuffix("_invalid") in str(failure.value)
    assert_hidden(failure.value, "canary")


def test_the_identity_tells_workloads_apart_and_holds_no_secret() -> None:
    each = [
        WorkloadIdentity("canary.b.c"),
        WorkloadIdentity("canary.b.c", subject="one"),
        WorkloadIdentity("canary.b.c", audience="other"),
        WorkloadIdentity("canary.b.c", client="app"),
        WorkloadIdentity(Secret.file("/one")),
        WorkloadIdentity(Secret.file("/other")),
        WorkloadIdentity(Platform()),
    ]
    assert len({profile.identity for profile in each}) == len(each)
    assert "canary" not in repr([(profile, profile.identity) for profile in each])
    assert WorkloadIdentity("canary.b.c").identity == WorkloadIdentity("another.b.c").identity, "a JWT rotates"


@pytest.mark.parametrize("own", [{"identity": "no tuple"}, {}])
def test_a_source_without_an_identity_adds_nothing(own: dict[str, object]) -> None:
    def source(_: str) -> str:
        return a_jwt()

    vars(source).update(own)
    assert WorkloadIdentity(source).identity == WorkloadIdentity(lambda _: a_jwt()).identity


def test_it_says_what_its_tokens_depend_on() -> None:
    place = Secret.file("/one")
    client = ClientSecret("app", "s")
    assert WorkloadIdentity(place, client=client).secrets == (place, *client.secrets)
    assert WorkloadIdentity(Platform()).secrets == ()


def test_it_acts_for_a_workload_that_must_be_named_and_asks_nobody() -> None:
    profile, named = WorkloadIdentity(Platform(), client="app"), WorkloadIdentity(Platform(), subject="ci")
    assert (profile.traits.subject_missing, named.traits.subject_missing) == (True, False)
    assert (profile.traits.portable, profile.traits.attended, profile.traits.patience_s) == (False, False, 10.0)
    assert profile.traits.extension is None
    assert profile.client_of(ScriptedWorld(), server(), "any") == PublicClient("app")
    assert profile.disowned(ScriptedWorld(), server(), "any") is False
