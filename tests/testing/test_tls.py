"""https on loopback, and clients that show a certificate: RFC 8705."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ssl
from contextlib import ExitStack

import httpx2
import pytest
from testing.answers import refused

from gatepass.testing import AuthorizationServer, Binding, Certificates, ProtectedServer, Tls, Trouble
from gatepass.testing.certificates import HOST


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    certificates.self_signed("ci-bot")
    certificates.self_signed("other")
    return certificates


@pytest.fixture(scope="module")
def files(certificates):
    """The files of certificates by what they are."""
    directory = certificates.ca.parent
    return {
        "nothing": None,
        "ci-bot": certificates.client("ci-bot"),
        "other": certificates.client("other"),
        "self-signed": directory / "ci-bot.self-signed.pem",
        "other self-signed": directory / "other.self-signed.pem",
    }


def thumbprint(file):
    der = ssl.PEM_cert_to_DER_cert(file.read_text().partition("-----BEGIN PRIVATE")[0])
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


@pytest.fixture
def connect(certificates, files):
    """A client that trusts the authority, and shows a certificate."""
    with ExitStack() as stack:

        def connect(shown="nothing"):
            context = ssl.create_default_context(cafile=certificates.ca)
            if files[shown] is not None:
                context.load_cert_chain(files[shown])
            return stack.enter_context(httpx2.Client(verify=context, trust_env=False, timeout=10))

        yield connect


@pytest.fixture
def auth_server(certificates, files, resource):
    with AuthorizationServer(tls=certificates.tls("requested"), resources=(resource,)) as server:
        server.add_client("ci-bot", certificate_subject="CN=ci-bot")
        server.add_client("own", certificate=files["self-signed"].read_bytes())
        server.add_client("secret", secret="s3cret")
        yield server


@pytest.fixture
def ask(auth_server, connect):
    def ask(shown="nothing", *, endpoint=None, **form):
        form = {"grant_type": "client_credentials", **form}
        return connect(shown).post(endpoint or auth_server.token_endpoint, data=form)

    return ask


class TestHttps:
    def test_the_origin_says_so(self, auth_server, connect):
        assert auth_server.origin == f"https://{HOST}:{auth_server.port}"
        document = connect().get(f"{auth_server.origin}/.well-known/oauth-authorization-server").json()
        assert document["issuer"] == auth_server.issuer == auth_server.origin

    def test_a_certificate_of_its_own_is_all_it_needs(self, certificates, connect):
        with AuthorizationServer(tls=Tls(certificate=certificates.server)) as server:
            assert connect("ci-bot").get(server.jwks_uri).status_code == 200

    def test_nobody_has_to_trust_it(self, auth_server):
        with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ConnectError):
            client.get(auth_server.origin)

    def test_it_can_be_stopped_and_started_again(self, auth_server, ask):
        for _ in range(2):
            assert ask("ci-bot", client_id="ci-bot").status_code == 200
            auth_server.stop()
            with pytest.raises(httpx2.ConnectError):
                ask("ci-bot", client_id="ci-bot")
            auth_server.start()

    @pytest.mark.parametrize("connection", ["reset", "truncate"])
    def test_it_may_have_trouble(self, auth_server, ask, connection):
        auth_server.trouble = Trouble(connection=connection, times=1)
        with pytest.raises(httpx2.TransportError):
            ask("ci-bot", client_id="ci-bot")
        assert ask("ci-bot", client_id="ci-bot").status_code == 200

    def test_a_certificate_may_be_required(self, certificates, connect):
        with AuthorizationServer(tls=certificates.tls("required")) as server:
            assert connect("ci-bot").get(server.jwks_uri).status_code == 200
            with pytest.raises(httpx2.TransportError):
                connect().get(server.jwks_uri)

    def test_one_of_an_unknown_authority_is_refused(self, auth_server, tmp_path, certificates):
        context = ssl.create_default_context(cafile=certificates.ca)
        context.load_cert_chain(Certificates(tmp_path).client("ci-bot"))
        with httpx2.Client(verify=context, trust_env=False) as client, pytest.raises(httpx2.TransportError):
            client.get(auth_server.jwks_uri)

    def test_asking_for_certificates_means_knowing_whose(self, certificates):
        with pytest.raises(ValueError, match="client_ca"):
            Tls(certificate=certificates.server, client_certificates="required")


class TestClientAuthentication:
    @pytest.mark.parametrize(("client_id", "shown"), [("ci-bot", "ci-bot"), ("own", "self-signed")])
    def test_a_client_is_who_its_certificate_says(self, ask, client_id, shown):
        assert ask(shown, client_id=client_id).status_code == 200

    @pytest.mark.parametrize(
        ("client_id", "shown", "fault"),
        [
            ("ci-bot", "nothing", "no client certificate"),
            ("ci-bot", "other", "another"),
            ("ci-bot", "self-signed", "another"),  # anybody can sign the right subject
            ("own", "nothing", "no client certificate"),
            ("own", "ci-bot", "another"),
            ("own", "other self-signed", "another"),
        ],
    )
    def test_and_nobody_else(self, ask, client_id, shown, fault):
        assert fault in refused(ask(shown, client_id=client_id), "invalid_client", 401)

    def test_a_certificate_names_no_client(self, ask):
        assert "no client" in refused(ask("ci-bot"), "invalid_client", 401)

    def test_a_client_with_a_certificate_may_not_use_a_secret(self, ask):
        refused(ask("ci-bot", client_id="ci-bot", client_secret="s3cret"), "invalid_client", 401)

    def test_the_methods_follow_what_is_registered(self, auth_server):
        clients = auth_server.books.clients
        assert clients["ci-bot"].methods == ("tls_client_auth",)
        assert clients["own"].methods == ("self_signed_tls_client_auth",)

    @pytest.mark.parametrize("methods", [("none",), ("self_signed_tls_client_auth",)])
    def test_a_method_that_the_client_is_not_registered_for_is_refused(self, auth_server, ask, methods):
        auth_server.add_client("ci-bot", certificate_subject="CN=ci-bot", methods=methods)
        assert "not registered for" in refused(ask("ci-bot", client_id="ci-bot"), "invalid_client", 401)

    def test_its_pem_may_be_text(self, auth_server, files, ask):
        auth_server.add_client("own", certificate=files["self-signed"].read_text())
        assert ask("self-signed", client_id="own").status_code == 200

    def test_a_pem_without_a_certificate_is_none(self, auth_server):
        with pytest.raises(ValueError, match=r"\w"):
            auth_server.add_client("own", certificate="nothing")


class TestTokens:
    @pytest.mark.parametrize("token_format", ["jwt", "opaque"])
    def test_one_is_bound_to_the_certificate_that_asked_for_it(self, auth_server, files, ask, resource, token_format):
        auth_server.token_format = token_format
        answer = ask("ci-bot", client_id="ci-bot", resource=resource).json()
        assert answer["token_type"] == "Bearer"
        binding = auth_server.verify(answer["access_token"], audience=resource).binding
        assert binding == Binding(x5t=thumbprint(files["ci-bot"]))

    def test_one_that_was_asked_for_without_is_not(self, auth_server, ask, resource):
        token = ask(client_id="secret", client_secret="s3cret", resource=resource).json()["access_token"]
        assert auth_server.verify(token, audience=resource).binding == Binding()

    def test_the_refresh_token_of_a_public_client_is_bound_too(self, auth_server, ask):
        auth_server.refresh_tokens = "issued"
        auth_server.add_client("public", grants=("client_credentials", "refresh_token"))
        token = ask("ci-bot", client_id="public").json()["refresh_token"]
        refresh = {"client_id": "public", "grant_type": "refresh_token", "refresh_token": token}
        refused(ask("other", **refresh), "invalid_grant")
        assert ask("ci-bot", **refresh).status_code == 200


class TestMetadata:
    @pytest.fixture
    def metadata(self, connect):
        def metadata(server):
            return connect().get(f"{server.origin}/.well-known/oauth-authorization-server").json()

        return metadata

    def test_it_says_what_a_certificate_is_good_for(self, auth_server, metadata):
        document = metadata(auth_server)
        assert document["tls_client_certificate_bound_access_tokens"] is True
        offered = document["token_endpoint_auth_methods_supported"]
        assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(offered)
        assert "mtls_endpoint_aliases" not in document

    def test_a_server_that_asks_for_none_says_nothing(self, certificates, metadata):
        with AuthorizationServer(tls=certificates.tls()) as server:
            assert not any("tls" in name for name in metadata(server))
            assert "tls_client_auth" not in metadata(server)["token_endpoint_auth_methods_supported"]


class TestAliases:
    @pytest.fixture(autouse=True)
    def _aliases(self, auth_server):
        auth_server.mtls_aliases = True

    def test_the_metadata_lists_them(self, auth_server, connect):
        def aliases():
            url = f"{auth_server.origin}/.well-known/oauth-authorization-server"
            return connect().get(url).json()["mtls_endpoint_aliases"]

        token, revoke = auth_server.endpoint("mtls/token"), auth_server.endpoint("mtls/revoke")
        assert aliases() == {"token_endpoint": token}
        auth_server.revocation = True
        assert aliases() == {"token_endpoint": token, "revocation_endpoint": revoke}

    def test_a_certificate_is_seen_there_only(self, auth_server, ask):
        refused(ask("ci-bot", client_id="ci-bot"), "invalid_client", 401)
        assert ask("ci-bot", client_id="ci-bot", endpoint=auth_server.endpoint("mtls/token")).status_code == 200
        assert auth_server.count("token") == 2

    def test_a_token_is_given_back_there(self, auth_server, connect, ask, resource):
        auth_server.revocation = True
        answer = ask("ci-bot", client_id="ci-bot", resource=resource, endpoint=auth_server.endpoint("mtls/token"))
        token = answer.json()["access_token"]
        form = {"token": token, "client_id": "ci-bot"}
        assert connect("ci-bot").post(auth_server.endpoint("mtls/revoke"), data=form).status_code == 200
        assert auth_server.verify(token, audience=resource) is None

    def test_there_are_none_by_default(self, auth_server, ask):
        auth_server.mtls_aliases = False
        assert ask("ci-bot", client_id="ci-bot", endpoint=auth_server.endpoint("mtls/token")).status_code == 404


class TestProtectedServer:
    @pytest.fixture
    def mcp_server(self, auth_server, certificates):
        with ProtectedServer(auth_server, tls=certificates.tls("requested")) as server:
            yield server

    @pytest.fixture
    def hello(self, mcp_server, connect):
        def hello(token, shown):
            headers = {"Authorization": f"Bearer {token}"}
            return connect(shown).get(f"{mcp_server.url}/plain/hello", headers=headers)

        return hello

    @pytest.mark.parametrize("shown", ["ci-bot", "self-signed"])
    def test_a_bound_token_is_good_with_its_certificate_only(self, auth_server, mcp_server, files, hello, shown):
        binding = Binding(x5t=thumbprint(files[shown]))
        token = auth_server.issue_token("ci-bot", audience=mcp_server.url, binding=binding)
        assert hello(token, shown).json() == {"hello": "ci-bot"}
        for wrong in ("nothing", "other", "other self-signed"):
            response = hello(token, wrong)
            assert response.status_code == 401
            assert 'error="invalid_token"' in response.headers["www-authenticate"]

    @pytest.mark.parametrize("shown", ["nothing", "ci-bot"])
    def test_one_that_is_not_bound_is_good_with_any(self, auth_server, mcp_server, hello, shown):
        token = auth_server.issue_token("ci-bot", audience=mcp_server.url)
        assert hello(token, shown).status_code == 200

    def test_a_bound_one_is_no_good_where_no_certificate_is_asked_for(self, auth_server, files, http):
        with ProtectedServer(auth_server) as server:
            binding = Binding(x5t=thumbprint(files["ci-bot"]))
            token = auth_server.issue_token("ci-bot", audience=server.url, binding=binding)
            headers = {"Authorization": f"Bearer {token}"}
            assert http.get(f"{server.url}/plain/hello", headers=headers).status_code == 401

    def test_the_metadata_says_so(self, mcp_server, connect):
        assert mcp_server.url.startswith("https://")
        document = connect().get(mcp_server.metadata_url).json()
        assert document["tls_client_certificate_bound_access_tokens"] is True
        assert document["resource"] == mcp_server.url

    def test_one_that_asks_for_none_says_nothing(self, auth_server, certificates, connect):
        with ProtectedServer(auth_server, tls=certificates.tls()) as server:
            assert not any("tls" in name for name in connect().get(server.metadata_url).json())


@pytest.mark.parametrize(
    ("unlike", "reason"),
    [({"names": ("mcp.example.com",)}, "not valid for"), ({"life": dt.timedelta(days=-1)}, "has expired")],
)
def test_a_servers_certificate_may_be_one_that_nobody_should_take(tmp_path, unlike, reason):
    certificates = Certificates(tmp_path, **unlike)
    context = ssl.create_default_context(cafile=certificates.ca)
    with (
        AuthorizationServer(tls=certificates.tls()) as server,
        httpx2.Client(verify=context, trust_env=False) as client,
        pytest.raises(httpx2.ConnectError, match=reason),
    ):
        client.get(server.origin)
