from __future__ import annotations

import copy
import pickle
from base64 import b64decode
from urllib.parse import unquote_plus

import pytest
from canary import assert_hidden
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedWorld

from gatepass.client_auth.client_secret import ClientSecret
from gatepass.core.secret import EnvReference, Secret
from gatepass.errors import ConfigurationError
from gatepass.protocol.server import ServerMetadata

CANARY = "canary-5ecret"
SENDABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


def server(*methods: str) -> ServerMetadata:
    return ServerMetadata(
        issuer="https://as.example.com",
        token_endpoint="https://as.example.com/token",
        token_endpoint_auth_methods_supported=methods or None,
    )


def basic_of(client: ClientSecret) -> str:
    ((name, value),) = client.authenticate(ScriptedWorld(), server()).headers
    assert name == "Authorization"
    return b64decode(value.removeprefix("Basic ")).decode()


@given(SENDABLE, SENDABLE)
def test_basic_is_what_a_server_that_follows_rfc_6749_reads_back(client_id, secret):
    name, _, password = basic_of(ClientSecret(client_id, secret)).partition(":")
    assert (unquote_plus(name), unquote_plus(password)) == (client_id, secret)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain", "plain"),
        ("a b", "a+b"),
        ("a+b", "a%2Bb"),
        ("a:b", "a%3Ab"),
        ("100%", "100%25"),
        ("ü", "%C3%BC"),
        ("a/b=", "a%2Fb%3D"),
        ("€ 9", "%E2%82%AC+9"),
    ],
)
def test_id_and_secret_are_form_encoded_before_they_are_joined(text, encoded):
    assert basic_of(ClientSecret(text, text)) == f"{encoded}:{encoded}"


def test_raw_basic_joins_them_as_they_are():
    assert basic_of(ClientSecret("a b", "x:y%ü", raw_basic=True)) == "a b:x:y%ü"


def test_in_the_body_they_are_parameters():
    credentials = ClientSecret("ci bot", "s:%", "client_secret_post").authenticate(ScriptedWorld(), server())
    assert credentials.form == (("client_id", "ci bot"), ("client_secret", "s:%"))
    assert credentials.headers == ()


OFFERS = [
    ("auto", (), "client_secret_basic"),
    ("auto", ("client_secret_basic",), "client_secret_basic"),
    ("auto", ("client_secret_post",), "client_secret_post"),
    ("auto", ("client_secret_post", "client_secret_basic"), "client_secret_basic"),
    ("auto", ("private_key_jwt",), None),
    ("client_secret_basic", (), "client_secret_basic"),
    ("client_secret_basic", ("client_secret_basic", "none"), "client_secret_basic"),
    ("client_secret_basic", ("client_secret_post",), None),
    ("client_secret_post", (), "client_secret_post"),
    ("client_secret_post", ("client_secret_basic", "client_secret_post"), "client_secret_post"),
    ("client_secret_post", ("client_secret_basic",), None),
    ("client_secret_post", ("CLIENT_SECRET_POST",), None),
]


@pytest.mark.parametrize(("method", "offered", "chosen"), OFFERS)
def test_the_method_is_one_that_the_server_offers_or_none_is_sent(method, offered, chosen):
    client = ClientSecret("ci-bot", Secret.env("UNREAD"), method)
    if chosen is not None:
        assert client.choose(server(*offered)) == chosen
        return
    world = ScriptedWorld()
    for ask in (client.choose, lambda metadata: client.authenticate(world, metadata)):
        with pytest.raises(ConfigurationError) as caught:
            ask(server(*offered))
        assert caught.value.code == "method_not_offered"
        assert all(name in str(caught.value) for name in offered)
    assert world.revealed == []


def test_metadata_that_lists_no_method_at_all_says_nothing():
    silent = ServerMetadata(issuer="https://as.example.com", token_endpoint_auth_methods_supported=())
    assert ClientSecret("ci-bot", "s").choose(silent) == "client_secret_basic"


def test_what_a_server_offers_is_made_harmless_before_it_is_shown():
    offered = ("evil\n\x1b[31m" + "x" * 500, *(f"method_{n}" for n in range(50)))
    with pytest.raises(ConfigurationError) as caught:
        ClientSecret("ci-bot", "s").choose(server(*offered))
    text = str(caught.value)
    assert "evil??[31mxxx" in text
    assert len(text) < 600
    assert text.isprintable()
    assert "method_3, " in text
    assert "method_40" not in text


def test_a_reference_is_read_when_a_token_is_made_each_time():
    client = ClientSecret("ci-bot", Secret.env("CI_SECRET"), "client_secret_post")
    world = ScriptedWorld(secrets={EnvReference("CI_SECRET"): "one"})
    assert dict(client.authenticate(world, server()).form)["client_secret"] == "one"
    world.secrets[EnvReference("CI_SECRET")] = "two"
    assert dict(client.authenticate(world, server()).form)["client_secret"] == "two"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_every_spelling_of_the_secret_is_named_as_to_be_hidden(method):
    credentials = ClientSecret("ci-bot", "s ü%", method).authenticate(ScriptedWorld(), server())
    assert {"s ü%", "s+%C3%BC%25"} <= set(credentials.hide)
    for _, value in credentials.headers:
        assert value.removeprefix("Basic ") in credentials.hide
    assert all(credentials.hide)
    assert "s+" not in repr(credentials)
    assert "s ü" not in repr(credentials)


def test_the_identity_tells_method_and_client_and_no_secret():
    client = ClientSecret("ci-bot", CANARY)
    assert client.identity == ("client_secret", "ci-bot")
    assert [one.reveal() for one in client.secrets] == [CANARY]


def test_a_repr_a_pickle_or_a_change_gives_nothing_away():
    client = ClientSecret("ci-bot", CANARY)
    assert CANARY not in repr(client)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="pickle"):
        copy.deepcopy(client)
    with pytest.raises(AttributeError):
        client.client_id = "other"  # type: ignore[misc]


BAD_ARGUMENTS = [
    ({"client_id": ""}, "client_id_invalid", "client_id is empty"),
    ({"client_id": "a\nb"}, "client_id_invalid", "client_id holds a control character"),
    ({"client_id": "a\x85b"}, "client_id_invalid", "client_id holds a control character"),
    ({"client_id": "\ud800"}, "client_id_invalid", "client_id holds"),
    ({"client_id": None}, "client_id_invalid", "client_id must be a string, not NoneType"),
    ({"client_id": b"ci-bot"}, "client_id_invalid", "client_id must be a string, not bytes"),
    ({"secret": ""}, "secret_invalid", "secret is empty"),
    ({"secret": f"{CANARY}\n"}, "secret_invalid", "control character"),
    ({"secret": f"{CANARY}\ud800"}, "secret_invalid", "control character"),
    ({"secret": 5}, "secret_invalid", "not int"),
    ({"secret": None}, "secret_invalid", "not NoneType"),
    ({"method": "basic"}, "method_invalid", "auto, client_secret_basic, client_secret_post"),
    ({"client_id": "a:b", "raw_basic": True}, "client_id_invalid", "colon"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), BAD_ARGUMENTS)
def test_an_argument_that_does_not_fit_is_refused_at_once_by_name(arguments, code, says):
    with pytest.raises(ConfigurationError) as caught:
        ClientSecret(**{"client_id": "ci-bot", "secret": CANARY, **arguments})
    assert caught.value.code == code
    assert says in str(caught.value)
    assert_hidden(caught.value, CANARY)


@pytest.mark.parametrize("text", ["", f"{CANARY}\n", f"{CANARY}\x00", f"{CANARY}\ud800"])
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_reference_to_a_secret_that_cannot_be_sent_names_its_place(text, method):
    client = ClientSecret("ci-bot", Secret.env("CI_SECRET"), method)
    world = ScriptedWorld(secrets={EnvReference("CI_SECRET"): text})
    with pytest.raises(ConfigurationError) as caught:
        client.authenticate(world, server())
    assert caught.value.code == "secret_invalid"
    assert "environment variable CI_SECRET" in str(caught.value)
    assert_hidden(caught.value, CANARY)
