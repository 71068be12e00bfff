"""A workload gets in by what its platform says of it (RFC 7523 §2.1; SEP-1933)."""

from __future__ import annotations

import time
import uuid

import httpx2
import pytest
from integration.patience import eventually
from integration.ways_in import cost, hello
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from openbao import openbao

import gatepass
from gatepass.identity import GitHubActions
from gatepass.testing import AuthorizationServer, ProtectedServer

PLATFORM = "https://platform.example.com"


class Platform:
    """Signs JWTs for workloads, and puts them into a file as a kubelet does."""

    def __init__(self, file):
        self.file = file
        self.key = ECKey.generate_key("P-256", auto_kid=True)

    def jwt_for(self, audience, *, subject="the build", lifetime_s=300, **claims):
        now = int(time.time())
        claims = {"iss": PLATFORM, "sub": subject, "aud": audience, "iat": now, "exp": now + lifetime_s, **claims}
        claims.setdefault("jti", str(uuid.uuid4()))
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    def project(self, audience, **options):
        self.file.write_text(self.jwt_for(audience, **options))


@pytest.fixture
def platform(tmp_path):
    return Platform(tmp_path / "token")


@pytest.fixture
def auth_server(platform):
    with AuthorizationServer(assertion_replay=False) as server:
        server.add_trusted_issuer(PLATFORM, [platform.key])
        server.add_client("ci-bot", secret="s3cret", scopes=("mcp:read",))
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server) as server:
        yield server


def auth_for(mcp_server, source, *, subject=None, client=None, audience="issuer", **options):
    way_in = gatepass.WorkloadIdentity(source, subject=subject, client=client, audience=audience)
    return gatepass.Auth(mcp_server.url, way_in, issuer=mcp_server.authorization_server.issuer, **options)


def get(auth, url):
    with httpx2.Client(auth=auth) as http:
        return http.get(url)


def test_a_projected_token_gets_in_and_no_client_is_named(mcp_server, auth_server, platform):
    platform.project(auth_server.issuer)
    answer = get(auth_for(mcp_server, gatepass.Secret.file(platform.file)), hello(mcp_server))
    assert answer.json() == {"hello": "the build"}
    (request,) = [record for record in auth_server.requests if record.path == "/token"]
    assert set(request.form) == {"grant_type", "assertion", "resource"}
    assert request.grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_a_token_that_rotates_in_mid_run_is_read_anew_for_each_renewal(mcp_server, auth_server, platform):
    platform.project(auth_server.issuer)
    auth = auth_for(mcp_server, gatepass.Secret.file(platform.file))
    first = auth.token()
    platform.project(auth_server.issuer)  # the first one is used up: the server takes each once
    auth_server.revoke_all()
    assert get(auth, hello(mcp_server)).status_code == 200
    assert auth.token() != first
    assert auth_server.count("token", status=200) == 2


def test_a_rejected_assertion_is_final_until_there_is_another_one(mcp_server, auth_server, platform):
    Platform(platform.file).project(auth_server.issuer)  # signed by a key that nobody trusts
    auth = auth_for(mcp_server, gatepass.Secret.file(platform.file))
    for _ in range(3):
        with pytest.raises(gatepass.RemoteError) as refused:
            auth.token()
        assert (refused.value.error, refused.value.retryable) == ("invalid_grant", False)
    assert auth_server.count("token") == 1, "neither again nor by another grant"
    platform.project(auth_server.issuer)
    assert auth.token()


def test_one_for_somebody_else_is_not_given_away(mcp_server, auth_server, platform):
    platform.project("https://kubernetes.default.svc")
    client = gatepass.ClientAssertion("ci-bot", gatepass.Secret.file(platform.file))
    for auth in (
        auth_for(mcp_server, gatepass.Secret.file(platform.file)),
        gatepass.Auth(mcp_server.url, gatepass.ClientCredentials(client), issuer=auth_server.issuer),
    ):
        with pytest.raises(gatepass.ConfigurationError) as refused:
            auth.token()
        assert refused.value.code == "workload_token_audience"
    assert auth_server.count("token") == 0


def test_one_that_has_expired_is_not_sent(mcp_server, auth_server, platform):
    platform.project(auth_server.issuer, lifetime_s=-60)
    with pytest.raises(gatepass.ConfigurationError) as refused:
        auth_for(mcp_server, gatepass.Secret.file(platform.file)).token()
    assert refused.value.code == "assertion_expired"
    assert auth_server.count("token") == 0


def test_a_client_that_proves_itself_besides_is_taken_too(mcp_server, auth_server, platform):
    auth_server.anonymous_jwt_bearer = False
    auth_server.add_client(
        "ci-bot", secret="s3cret", grants=("urn:ietf:params:oauth:grant-type:jwt-bearer",), scopes=("mcp:read",)
    )
    client = gatepass.ClientSecret("ci-bot", "s3cret")
    auth = auth_for(mcp_server, platform.jwt_for(auth_server.issuer), client=client)
    assert get(auth, hello(mcp_server)).status_code == 200


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_function_is_told_the_audience_and_asked_for_each_token(mcp_server, auth_server, platform, kind):
    audiences = []

    def plain(audience):
        audiences.append(audience)
        return platform.jwt_for(audience)

    async def asynchronous(audience):
        return plain(audience)

    auth = auth_for(mcp_server, plain if kind == "plain" else asynchronous)
    assert get(auth, hello(mcp_server)).status_code == 200
    auth_server.revoke_all()
    assert get(auth, hello(mcp_server)).status_code == 200
    assert audiences == [auth_server.issuer] * 2


def test_a_source_that_is_not_here_says_so(mcp_server, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with pytest.raises(gatepass.ConfigurationError, match="GitHub Actions") as refused:
        auth_for(mcp_server, GitHubActions()).token()
    assert refused.value.code == "assertion_source_absent"


def test_a_refresh_token_is_used_where_one_is_issued_and_the_workloads_token_where_it_is_refused(
    mcp_server, auth_server, platform
):
    auth_server.refresh_tokens = "rotating"
    auth_server.token_lifetime_s = 1.0
    jwt_bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    auth_server.add_client("ci-bot", secret="s3cret", grants=(jwt_bearer, "refresh_token"))
    asked = []

    def source(audience):
        asked.append(audience)
        return platform.jwt_for(audience)

    auth = auth_for(mcp_server, source, client=gatepass.ClientSecret("ci-bot", "s3cret"))
    tokens = {auth.token()}
    eventually(lambda: tokens.add(auth.token()) or len(tokens) > 2, "two renewals")
    assert len(asked) == 1, "renewed by refresh tokens"
    auth_server.refresh_tokens = "none"
    eventually(lambda: tokens.add(auth.token()) or len(asked) > 1, "the workload was asked again")


def test_two_workloads_with_one_store_need_names(mcp_server, auth_server, platform, tmp_path):
    with pytest.raises(gatepass.ConfigurationError) as refused:
        auth_for(mcp_server, platform.jwt_for(auth_server.issuer), store=gatepass.FileStore(tmp_path / "store"))
    assert refused.value.code == "subject_missing"
    names = ["one", "two"]
    tokens = {
        auth_for(
            mcp_server,
            platform.jwt_for(auth_server.issuer, subject=name),
            subject=name,
            store=gatepass.FileStore(tmp_path / "store"),
        ).token()
        for name in names
    }
    assert len(tokens) == 2


def test_a_hundred_tokens_cost_one_look_at_the_platform(mcp_server, auth_server, platform):
    looks = []

    def source(audience):
        looks.append(audience)
        return platform.jwt_for(audience)

    auth = auth_for(mcp_server, source)
    assert len({auth.token() for _ in range(100)}) == 1
    assert len(looks) == 1
    assert cost(mcp_server)["token"] == 1


@pytest.fixture(scope="module")
def bao(tmp_path_factory):
    """A real issuer of workload JWTs."""
    with openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


def test_the_workloads_of_a_real_issuer_get_in(bao, mcp_server, auth_server):
    bao.workload_jwt(auth_server.issuer)  # it has no keys before there is something to sign
    keys = KeySet.import_key_set(httpx2.get(bao.jwks_uri).raise_for_status().json())
    auth_server.add_trusted_issuer(bao.issuer, keys.keys)
    auth_server.assertion_replay = True  # its JWTs have no jti
    auth = auth_for(mcp_server, bao.workload_jwt)
    assert get(auth, hello(mcp_server)).status_code == 200
    auth_server.revoke_all()
    assert get(auth, hello(mcp_server)).status_code == 200, "with another one"


def test_a_jwt_of_a_real_issuer_that_nobody_trusts_is_refused(bao, mcp_server, auth_server):
    with pytest.raises(gatepass.RemoteError) as refused:
        auth_for(mcp_server, bao.workload_jwt).token()
    assert refused.value.error == "invalid_grant"
