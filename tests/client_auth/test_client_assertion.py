from __future__ import annotations

import pickle

import jwt as pyjwt
import pytest
from canary import assert_hidden
from scripted import ScriptedWorld

from gatepass.client_auth.client_assertion import ClientAssertion
from gatepass.core.secret import EnvReference, FileReference, Secret
from gatepass.errors import ConfigurationError, UnreachableError
from gatepass.protocol.server import ServerMetadata

NOW = 1_700_000_000
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def server(*methods: str) -> ServerMetadata:
    return ServerMetadata(
        issuer="https://as.example.com",
        token_endpoint="https://as.example.com/token",
        token_endpoint_auth_methods_supported=methods or None,
    )


def token(**claims: object) -> str:
    return pyjwt.encode({"sub": "spiffe://example.com/ci", **claims}, "k" * 32, "HS256")


def asked(world: ScriptedWorld, source, **options) -> dict[str, str]:
    return dict(ClientAssertion("ci-bot", source, **options).authenticate(world, server()).form)


def test_the_jwt_travels_with_the_client_id():
    given = token(exp=NOW + 1)
    credentials = ClientAssertion("ci-bot", given).authenticate(ScriptedWorld(wall=NOW), server())
    assert credentials.form == (
        ("client_id", "ci-bot"),
        ("client_assertion_type", TYPE),
        ("client_assertion", given),
    )
    assert credentials.headers == ()
    assert credentials.hide == (given,)


def test_a_file_is_read_for_each_request_and_its_line_break_is_left_behind():
    place = FileReference("/var/run/token")
    world = ScriptedWorld(wall=NOW, secrets={place: token(n=1) + "\n"})
    client = ClientAssertion("ci-bot", Secret.file("/var/run/token"))
    assert dict(client.authenticate(world, server()).form)["client_assertion"] == token(n=1)
    world.secrets[place] = token(n=2)
    assert dict(client.authenticate(world, server()).form)["client_assertion"] == token(n=2)


@pytest.mark.parametrize(
    ("audience", "told"),
    [
        ("issuer", "https://as.example.com"),
        ("token_endpoint", "https://as.example.com/token"),
        ("api://gate", "api://gate"),
    ],
)
def test_a_callable_is_told_the_audience(audience, told):
    assert asked(ScriptedWorld(), lambda aud: token(aud=aud), audience=audience)["client_assertion"] == token(aud=told)


def test_a_callable_may_be_async():
    async def source(audience: str) -> str:
        return token(aud=audience)

    assert asked(ScriptedWorld(), source)["client_assertion"] == token(aud="https://as.example.com")


def test_a_jwt_without_exp_is_left_to_the_server():
    assert asked(ScriptedWorld(), token())["client_assertion"] == token()


@pytest.mark.parametrize("source", ["literal", "file", "callable"])
def test_an_expired_jwt_is_not_sent(source):
    given = token(exp=NOW)
    place = FileReference("/var/run/token")
    sources = {"literal": given, "file": Secret.file(place.path), "callable": lambda _: given}
    client = ClientAssertion("ci-bot", sources[source])
    with pytest.raises(ConfigurationError) as caught:
        client.authenticate(ScriptedWorld(wall=NOW, secrets={place: given}), server())
    assert caught.value.code == "assertion_expired"
    assert ("/var/run/token" in str(caught.value)) == (source == "file")
    assert_hidden(caught.value, given)


@pytest.mark.parametrize(
    ("aud", "named"),
    [
        ("https://k8s.example", "for https://k8s.example, and"),
        (["https://k8s.example", "api://else"], "for https://k8s.example, api://else, and"),
        ([], "for nothing, and"),
        ([7], "for nothing, and"),
        ("x" * 1000, "for xxx"),
    ],
    ids=["one", "two", "none", "no text", "long"],
)
@pytest.mark.parametrize("source", ["literal", "file", "variable", "callable"])
def test_a_jwt_for_somebody_else_is_not_given_away(source, aud, named):
    given = token(aud=aud)
    file, variable = FileReference("/var/run/token"), EnvReference("TOKEN")
    sources = {
        "literal": given,
        "file": Secret.file(file.path),
        "variable": Secret.env(variable.name),
        "callable": lambda _: given,
    }
    with pytest.raises(ConfigurationError, match=r"source.* audience=\.\.\.") as caught:
        asked(ScriptedWorld(secrets={file: given, variable: given}), sources[source])
    assert caught.value.code == "workload_token_audience"
    assert named in str(caught.value)
    assert "one for https://as.example.com was asked for" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert_hidden(caught.value, given)


@pytest.mark.parametrize(
    ("aud", "audience"),
    [
        ("https://as.example.com", "issuer"),
        ("https://as.example.com/", "issuer"),
        (["api://else", "https://as.example.com"], "issuer"),
        ("https://as.example.com/token", "token_endpoint"),
        ("https://k8s.example", "https://k8s.example"),
        (7, "issuer"),
        (None, "issuer"),
    ],
)
def test_a_jwt_that_names_the_audience_or_does_not_say_is_sent(aud, audience):
    given = token(aud=aud)
    assert asked(ScriptedWorld(), given, audience=audience)["client_assertion"] == given


def test_a_platform_that_knows_its_audiences_better_is_believed():
    class Entra:
        audience_checked = True

        def __call__(self, audience: str) -> str:
            return token(aud="a-client-id")

    assert asked(ScriptedWorld(), Entra(), audience="api://gate")["client_assertion"] == token(aud="a-client-id")


@pytest.mark.parametrize("given", ["canary-opaque-token", token(exp="soon")])
def test_what_is_no_jwt_is_not_sent(given):
    with pytest.raises(ConfigurationError) as caught:
        ClientAssertion("ci-bot", given).authenticate(ScriptedWorld(), server())
    assert caught.value.code == "assertion_invalid"
    assert_hidden(caught.value, given)


def test_a_source_that_fails_fails_the_mint():
    def source(_: str) -> str:
        raise UnreachableError("The token service did not answer.", retryable=True)

    with pytest.raises(UnreachableError):
        ClientAssertion("ci-bot", source).authenticate(ScriptedWorld(), server())


def test_a_server_that_takes_no_assertions_is_not_sent_one():
    world = ScriptedWorld()
    with pytest.raises(ConfigurationError) as caught:
        ClientAssertion("ci-bot", token()).authenticate(world, server("client_secret_basic"))
    assert caught.value.code == "method_not_offered"
    assert world.audiences == []


def test_the_algorithms_that_the_server_lists_are_not_looked_at():
    listed = ServerMetadata(
        issuer="https://as.example.com",
        token_endpoint_auth_methods_supported=("private_key_jwt",),
        token_endpoint_auth_signing_alg_values_supported=("ES256",),
    )
    assert ClientAssertion("ci-bot", token()).choose(listed) == "private_key_jwt"


def test_it_shows_nothing_of_its_jwt():
    client = ClientAssertion("ci-bot", token())
    assert token() not in repr(client)
    assert client.identity == ("client_assertion", "ci-bot")
    assert [one.reveal() for one in client.secrets] == [token()]
    assert ClientAssertion("ci-bot", lambda _: token()).secrets == ()
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(client)


@pytest.mark.parametrize(
    ("client_id", "source", "audience", "code"),
    [
        ("", "a.b.c", "issuer", "client_id_invalid"),
        ("ci-bot", 5, "issuer", "source_invalid"),
        ("ci-bot", None, "issuer", "source_invalid"),
        ("ci-bot", "a.b.c", "", "audience_invalid"),
        ("ci-bot", "a.b.c", "a\nb", "audience_invalid"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_at_once(client_id, source, audience, code):
    with pytest.raises(ConfigurationError) as caught:
        ClientAssertion(client_id, source, audience=audience)
    assert caught.value.code == code
    assert_hidden(caught.value, "a.b.c")


def test_the_subject_tells_the_tokens_of_two_workloads_apart():
    alice = ClientAssertion("app", "a.b.c", subject="alice")
    bob = ClientAssertion("app", "a.b.c", subject="bob")
    assert len({alice.identity, bob.identity, ClientAssertion("app", "a.b.c").identity}) == 3
