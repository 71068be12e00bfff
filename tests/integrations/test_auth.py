"""What only `Auth` itself adds: arguments that are checked, and a word for 401s that it does not see."""

from __future__ import annotations

import asyncio
import json
import pickle
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from canary import assert_hidden
from jwt.algorithms import ECAlgorithm
from key_material import pem
from proofs import read_proof, thumbprint, token_hash
from wire import Authority

import gatepass
from gatepass.keys import parse_private_key

ENDPOINT = "https://mcp.example.com/mcp"
ISSUER = "https://as.example.com"
INF, NAN = float("inf"), float("nan")


def jwk() -> dict[str, str]:
    """A private key as a mapping."""
    number = ECAlgorithm(ECAlgorithm.SHA256).prepare_key(pem("P-256"))
    return dict(ECAlgorithm.to_jwk(number, as_dict=True))


WAY_IN = gatepass.ClientCredentials(gatepass.ClientSecret("ci", "the-secret"))


class Issuing(httpx2.BaseTransport):
    """An authorization server that issues token-1, token-2 and so on."""

    def __init__(self) -> None:
        self.issued = 0
        self.requests: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.issued += 1
        self.requests.append(request)
        token_type = "DPoP" if "DPoP" in request.headers else "Bearer"
        token = {"access_token": f"token-{self.issued}", "token_type": token_type, "expires_in": 300}
        return httpx2.Response(200, content=json.dumps(token), headers={"Content-Type": "application/json"})


def an_auth(server: Issuing, **options: Any) -> gatepass.Auth:
    http = gatepass.TokenHttp(transport=server)
    return gatepass.Auth(ENDPOINT, WAY_IN, issuer=ISSUER, token_endpoint=f"{ISSUER}/token", http=http, **options)


def test_a_token_that_the_caller_reports_as_refused_is_renewed_once() -> None:
    server = Issuing()
    auth = an_auth(server)
    first = auth.token()
    assert auth.rejected(first)
    assert auth.token() == "token-2"
    assert auth.rejected(first), "the one that was refused has been replaced: try again with the new one"
    assert not auth.rejected("token-2"), "a renewal was forced just now"
    assert auth.token() == "token-2"
    assert server.issued == 2


def test_before_there_is_a_token_none_can_have_been_refused() -> None:
    assert not an_auth(Issuing()).rejected("whatever")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"resource": "mcp.example.com/mcp"}, "resource_invalid"),
        ({"resource": None}, "resource_invalid"),
        ({"resource": "http://mcp.example.com/mcp"}, "insecure_url"),
        ({"resource": "HTTP://127.0.0.1.example.com/mcp"}, "insecure_url"),
        *(({"deadline_s": it}, "deadline_invalid") for it in (0, -1, INF, -INF, NAN, 86_401, 1e12, "10", True)),
        ({"issuer": "http://as.example.com"}, "insecure_url"),
        *(({"issuer": it}, "issuer_invalid") for it in (5, "as.example.com", ISSUER + "/?x=1", ISSUER + "#y")),
        ({"token_endpoint": "http://as.example.com/token"}, "insecure_url"),
        ({"token_endpoint": 5}, "url_invalid"),
        *(({"scopes": it}, "scope_invalid") for it in (["two words"], [7], 7, b"a b", [""])),
        *(
            ({"resource_indicator": it}, "resource_indicator_invalid")
            for it in ("", "not a uri", "/mcp", "mcp.example.com", f"{ENDPOINT}#part", f"{ENDPOINT}\n", "urn:", 7)
        ),
        *(({"audience": it}, "audience_invalid") for it in ("", "a\nb", "\x7f", "half \ud800", 7)),
        *(
            ({"extra_parameters": it}, "extra_parameters_invalid")
            for it in (
                {"client_secret": "x"},
                {"a": None},
                {"a": 1},
                {1: "a"},
                {"": "a"},
                {"a": "\ud800"},
                ["a"],
                "a=1",
            )
        ),
        *(
            ({field: it}, "url_invalid")
            for field in ("allow_metadata_origins", "allow_endpoint_origins")
            for it in ("https://as.example.com", ["nowhere"], [None], 7, None)
        ),
        *(({"http": it}, "http_invalid") for it in ("x", gatepass.TokenHttp, httpx2.HTTPTransport)),
        *(({"store": it}, "store_invalid") for it in ("/tmp/x", {}, gatepass.FileStore)),
        *(({"dpop": it}, "dpop_invalid") for it in (None, 1, "client.pem", b"\xff", ["key"], {1: object()})),
    ],
    ids=str,
)
def test_an_argument_that_does_not_fit_is_named(arguments: dict[str, object], code: str) -> None:
    given: dict[str, object] = {"resource": ENDPOINT, "profile": WAY_IN, **arguments}
    with pytest.raises(gatepass.ConfigurationError) as failure:
        gatepass.Auth(**given)  # type: ignore[arg-type]
    assert failure.value.code == code
    assert str(failure.value).startswith(next(iter(arguments)))


def test_a_profile_that_is_none_is_the_second_argument() -> None:
    with pytest.raises(gatepass.ConfigurationError, match="second argument") as failure:
        gatepass.Auth(ENDPOINT, gatepass.ClientSecret("id", "secret"))  # type: ignore[arg-type]
    assert failure.value.code == "profile_invalid"


@pytest.mark.parametrize(
    "arguments",
    [
        {"deadline_s": None},
        {"deadline_s": 0.001},
        {"deadline_s": 86_400},
        {"scopes": ()},
        {"resource_indicator": "urn:my:resource"},
        {"resource_indicator": "api://1234/x?y=%20z"},
        {"audience": "Straße 1"},
        {"extra_parameters": {"tenant": "", "details": '[{"type": "x"}]\n'}},
        {"allow_metadata_origins": {"https://meta.example.com/x"}},
        {"http": None, "store": None},
        *(
            {"dpop": it}
            for it in (True, False, pem("P-256"), gatepass.Secret(pem("Ed25519")), Path("later.pem"), jwk())
        ),
        {"step_up": True},
        {"allow_legacy_discovery": True},
    ],
    ids=str,
)
def test_an_argument_that_fits_is_taken(arguments: dict[str, object]) -> None:
    assert gatepass.Auth(ENDPOINT, WAY_IN, **arguments).resource == ENDPOINT  # type: ignore[arg-type]


def test_a_store_without_a_method_is_told_which() -> None:
    class Half(gatepass.MemoryStore):
        acquire = property()  # type: ignore[assignment]

    with pytest.raises(gatepass.ConfigurationError, match="has no acquire"):
        gatepass.Auth(ENDPOINT, WAY_IN, store=Half())


def test_the_value_of_a_parameter_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(gatepass.ConfigurationError) as failure:
        gatepass.Auth(ENDPOINT, WAY_IN, extra_parameters={"pin": b"canary"})  # type: ignore[dict-item]
    assert "'pin'" in str(failure.value)
    assert "canary" not in str(failure.value)


# A resource in the clear


def test_a_resource_in_the_clear_is_refused_with_both_ways_out() -> None:
    with pytest.raises(gatepass.ConfigurationError, match="Use https; or allow_http=True") as failure:
        gatepass.Auth("http://mcp.example.com/mcp", WAY_IN)
    assert failure.value.code == "insecure_url"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_on_loopback_http_will_do(host: str) -> None:
    assert gatepass.Auth(f"http://{host}/mcp", WAY_IN).resource == f"http://{host}/mcp"


def test_a_resource_in_the_clear_gets_its_token_where_that_is_allowed_by_name() -> None:
    endpoint = "http://mcp.mesh.example/mcp"
    options = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "http": gatepass.TokenHttp(transport=Issuing())}
    auth = gatepass.Auth(endpoint, WAY_IN, allow_http=True, **options)  # type: ignore[arg-type]
    assert auth.headers("GET", endpoint) == {"Authorization": "Bearer token-1"}


def test_a_resource_in_the_clear_does_not_choose_the_authorization_server() -> None:
    with pytest.raises(gatepass.ConfigurationError, match="issuer is needed") as failure:
        gatepass.Auth("http://mcp.mesh.example/mcp", WAY_IN, allow_http=True)
    assert failure.value.code == "issuer_unknown"


@pytest.mark.parametrize("field", ["issuer", "token_endpoint"])
def test_what_sees_a_secret_is_never_in_the_clear_whatever_the_resource_is(field: str) -> None:
    with pytest.raises(gatepass.ConfigurationError) as failure:
        gatepass.Auth(ENDPOINT, WAY_IN, allow_http=True, **{field: "http://as.example.com/token"})  # type: ignore[arg-type]
    assert failure.value.code == "insecure_url"


# Headers for requests that others send


@pytest.mark.parametrize("url", ["https://mcp.example.com/mcpx", "https://other.example.com/mcp?key=s3cret"])
def test_a_url_outside_the_resource_gets_no_headers_and_the_log_says_so_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Issuing()
    auth = an_auth(server)
    caplog.set_level("DEBUG", "gatepass")
    assert auth.headers("GET", url) == {}
    assert asyncio.run(auth.aheaders("GET", url)) == {}
    (record,) = caplog.records
    assert (record.levelname, record.gatepass_code) == ("INFO", "outside_resource")  # type: ignore[attr-defined]
    assert "is outside the resource; it goes out without a token" in record.getMessage()
    assert "s3cret" not in record.getMessage()
    assert server.issued == 0


def test_a_url_inside_gets_headers_and_nothing_is_said_of_it(caplog: pytest.LogCaptureFixture) -> None:
    auth = an_auth(Issuing())
    assert auth.headers("GET", f"{ENDPOINT}/x") == {"Authorization": "Bearer token-1"}
    assert "outside_resource" not in {getattr(record, "gatepass_code", None) for record in caplog.records}


def test_scopes_may_be_a_list_or_words() -> None:
    one = gatepass.Auth(ENDPOINT, WAY_IN, scopes="a b")
    other = gatepass.Auth(ENDPOINT, WAY_IN, scopes=["a", "b"])
    assert one._source.target == other._source.target


def test_the_url_keeps_its_query_and_the_resource_does_not() -> None:
    auth = gatepass.Auth(f"{ENDPOINT}?tenant=1", WAY_IN)
    assert (auth.url, auth.resource) == (f"{ENDPOINT}?tenant=1", ENDPOINT)


def test_an_auth_shows_no_secret_and_can_not_be_pickled() -> None:
    auth = an_auth(Issuing())
    auth.token()
    assert "the-secret" not in repr(auth)
    assert "token-1" not in repr(auth)
    with pytest.raises(TypeError):
        pickle.dumps(auth)


# Bound tokens


def test_a_bound_token_comes_with_a_proof_for_the_request_that_is_named() -> None:
    server = Issuing()
    auth = an_auth(server, dpop=True)
    seen = [auth.headers("post", f"{ENDPOINT}/x?y=z"), asyncio.run(auth.aheaders("GET", ENDPOINT))]
    proofs = [read_proof(headers["DPoP"]) for headers in seen]
    assert [headers["Authorization"] for headers in seen] == ["DPoP token-1"] * 2
    assert [(proof.claims["htm"], proof.claims["htu"]) for proof in proofs] == [
        ("POST", f"{ENDPOINT}/x"),
        ("GET", ENDPOINT),
    ]
    assert {proof.claims["ath"] for proof in proofs} == {token_hash("token-1")}
    assert proofs[0].jti != proofs[1].jti
    asked = read_proof(server.requests[0].headers["DPoP"])
    assert asked.header["jwk"] == proofs[0].header["jwk"]
    assert (asked.claims["htm"], asked.claims["htu"]) == ("POST", f"{ISSUER}/token")
    assert "ath" not in asked.claims


def test_without_a_key_there_is_no_proof() -> None:
    auth = an_auth(Issuing())
    assert auth.headers("GET", ENDPOINT) == {"Authorization": "Bearer token-1"}


def test_outside_of_the_resource_there_is_no_proof_either() -> None:
    assert an_auth(Issuing(), dpop=True).headers("GET", "https://mcp.example.com/other") == {}


def test_a_nonce_that_the_caller_reports_stands_in_the_next_proof() -> None:
    auth = an_auth(Issuing(), dpop=True)
    assert "nonce" not in read_proof(auth.headers("GET", ENDPOINT)["DPoP"]).claims
    auth.nonce_given("one")
    assert read_proof(auth.headers("GET", ENDPOINT)["DPoP"]).claims["nonce"] == "one"


def test_a_key_may_be_given_in_every_form_and_its_file_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem("P-256"))
    forms = (path, pem("P-256"), gatepass.Secret(pem("P-256")), gatepass.Secret.file(path), jwk())
    used = [read_proof(an_auth(Issuing(), dpop=form).headers("GET", ENDPOINT)["DPoP"]) for form in forms]
    assert len({thumbprint(proof.header["jwk"]) for proof in used}) == 1  # type: ignore[arg-type]
    auth = an_auth(Issuing(), dpop=path)
    auth.token()
    path.write_text(pem("P-256", number=2))
    auth.rejected("token-1")
    auth.token()
    newer = read_proof(auth.headers("GET", ENDPOINT)["DPoP"])
    assert newer.header["jwk"] != used[0].header["jwk"]
    assert newer.claims["ath"] == token_hash("token-2")


def test_a_key_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(gatepass.ConfigurationError) as failure:
        gatepass.Auth(ENDPOINT, WAY_IN, dpop="canary")
    assert_hidden(failure.value, "canary")


def test_a_signer_of_the_users_may_hold_the_key() -> None:
    key = parse_private_key(pem("P-256"), None, origin="key")

    class Signer:
        algorithms = key.algorithms
        public_jwk = key.public_jwk

        def sign(self, algorithm: str, data: bytes) -> bytes:
            return key.sign(algorithm, data)

    auth = an_auth(Issuing(), dpop=Signer())
    for headers in (auth.headers("GET", ENDPOINT), asyncio.run(auth.aheaders("GET", ENDPOINT))):
        assert read_proof(headers["DPoP"]).claims["ath"] == token_hash("token-1")


# For whom, and for how long

IDP = gatepass.IdentityProvider("https://idp.example.com", gatepass.PublicClient("ci"))
FOR_SOMEBODY: list[Callable[..., Any]] = [
    partial(gatepass.AuthorizationCode, "ci"),
    gatepass.AuthorizationCode,
    partial(gatepass.WorkloadIdentity, lambda _: "a.b.c"),
    partial(
        gatepass.EnterpriseAuthorization, gatepass.ClientSecret("ci", "x"), idp=IDP, subject_token=lambda _: "a.b.c"
    ),
]


@pytest.mark.parametrize("way_in", FOR_SOMEBODY, ids=lambda way: getattr(way, "func", way).__name__)
def test_who_acts_for_somebody_says_for_whom_before_it_shares_a_store(
    way_in: Callable[..., Any], tmp_path: Path
) -> None:
    store = gatepass.FileStore(tmp_path)
    with pytest.raises(gatepass.ConfigurationError) as failure:
        gatepass.Auth(ENDPOINT, way_in(), store=store)
    assert failure.value.code == "subject_missing"
    assert str(failure.value).startswith("subject is needed: ")
    assert gatepass.Auth(ENDPOINT, way_in(subject="alice"), store=store)
    with pytest.raises(gatepass.ConfigurationError, match="subject is needed"):
        gatepass.Auth(ENDPOINT, way_in(), store=gatepass.MemoryStore())
    assert gatepass.Auth(ENDPOINT, way_in())


def test_two_who_act_for_different_people_have_different_tokens(tmp_path: Path) -> None:
    store = gatepass.FileStore(tmp_path)
    names = {
        gatepass.Auth(ENDPOINT, way_in(subject=subject), store=store)._source.shelf.names[0]
        for way_in in FOR_SOMEBODY
        for subject in ("alice", "bob")
    }
    assert len(names) == 2 * len(FOR_SOMEBODY)


def test_a_client_that_acts_for_itself_needs_no_subject(tmp_path: Path) -> None:
    assert gatepass.Auth(ENDPOINT, WAY_IN, store=gatepass.FileStore(tmp_path))


@pytest.mark.parametrize(
    ("profile", "deadline_s", "waits_s"),
    [
        (WAY_IN, None, 10.0),
        (gatepass.AuthorizationCode(), None, 310.0),
        (gatepass.AuthorizationCode(timeout_s=60.0), None, 70.0),
        (gatepass.AuthorizationCode(timeout_s=60.0), 5.0, 5.0),
        (WAY_IN, 60.0, 60.0),
    ],
)
def test_a_caller_waits_as_long_as_the_way_in_may_take_unless_told_otherwise(
    profile: Any, deadline_s: float | None, waits_s: float
) -> None:
    assert gatepass.Auth(ENDPOINT, profile, deadline_s=deadline_s)._deadline_s == waits_s


# Signing out


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_signing_out_forgets_the_token_and_says_whether_it_was_revoked(asynchronous: bool) -> None:
    auth = an_auth(Issuing())
    assert auth.token() == "token-1"
    assert (asyncio.run(auth.aforget()) if asynchronous else auth.forget()) is False  # nothing was discovered
    assert auth.token() == "token-2"


# Certificates


def test_a_client_gets_the_certificate_that_tokens_are_bound_to(tmp_path: Path) -> None:
    cert = Authority(tmp_path).issue("ci-bot")
    bound = gatepass.Auth(ENDPOINT, WAY_IN, http=gatepass.TokenHttp(cert=cert))
    assert isinstance(bound.tls_context(), ssl.SSLContext)
    assert gatepass.Auth(ENDPOINT, WAY_IN).tls_context() is None
