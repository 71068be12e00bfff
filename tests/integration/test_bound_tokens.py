"""Tokens that are bound to a key (RFC 9449) or to a certificate (RFC 8705), over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import httpx2
import key_material
import pytest
from integration.ways_in import CLIENT_ID, SCOPES, SECRET, auth_for, by_secret, cost, hello

import gatepass
from gatepass.testing import AuthorizationServer, Certificates, ProtectedServer

KINDS = ["P-256", "P-384", "RSA", "Ed25519"]


@pytest.fixture
def auth_server():
    with AuthorizationServer(dpop="optional", dpop_nonce=True) as server:
        server.add_client(CLIENT_ID, secret=SECRET, scopes=SCOPES)
        yield server


@pytest.fixture
def mcp_server(auth_server):
    with ProtectedServer(auth_server, scopes=("mcp:read",), dpop="required", dpop_nonce=True) as server:
        yield server


def get(auth, url):
    with httpx2.Client(auth=auth) as http:
        return http.get(url)


class TestProofs:
    def test_nonces_of_both_servers_are_learned_and_each_request_has_a_proof_of_its_own(self, mcp_server, auth_server):
        with httpx2.Client(auth=auth_for(mcp_server, dpop=True)) as http:
            for _ in range(5):
                assert http.get(hello(mcp_server)).status_code == 200
        assert auth_server.count("token") == 2, "once without the nonce, once with it"
        assert auth_server.proofs == 2
        assert mcp_server.count("resource", status=401) == 2, "a bare one, and one without the nonce"
        assert mcp_server.proofs == 6

    def test_a_nonce_that_changes_is_followed(self, mcp_server, auth_server):
        with httpx2.Client(auth=auth_for(mcp_server, dpop=True)) as http:
            assert http.get(hello(mcp_server)).status_code == 200
            refused = mcp_server.rejected
            for _ in range(3):
                mcp_server.rotate_dpop_nonce()
                assert http.get(hello(mcp_server)).status_code == 200
            assert mcp_server.rejected == refused + 3
        assert auth_server.count("token", status=200) == 1, "no nonce costs a token"

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_of_key_will_do(self, mcp_server, kind):
        assert get(auth_for(mcp_server, dpop=key_material.pem(kind)), hello(mcp_server)).status_code == 200

    def test_asynchronous_clients_and_httpx_prove_as_well(self, mcp_server):
        auth = auth_for(mcp_server, dpop=True)

        async def visit():
            async with httpx2.AsyncClient(auth=auth) as http:
                answers = await asyncio.gather(*(http.get(hello(mcp_server)) for _ in range(20)))
            async with httpx.AsyncClient(auth=auth.for_httpx()) as old:
                return [*answers, await old.get(hello(mcp_server))]

        assert {answer.status_code for answer in asyncio.run(visit())} == {200}
        with httpx.Client(auth=auth.for_httpx()) as old:
            assert old.get(hello(mcp_server)).status_code == 200

    def test_whoever_sends_requests_without_an_auth_takes_both_headers(self, mcp_server):
        auth = auth_for(mcp_server, scopes=["mcp:read"], dpop=True)
        url = hello(mcp_server)
        first = httpx2.get(url, headers=auth.headers("GET", url))
        assert first.status_code == 401
        auth.nonce_given(first.headers["DPoP-Nonce"])
        assert httpx2.get(url, headers=auth.headers("GET", url)).status_code == 200
        assert httpx2.get(url, headers=asyncio.run(auth.aheaders("GET", url))).status_code == 200

    def test_an_mcp_session_proves_each_message(self, mcp_server):
        async def visit():
            async with gatepass.connect(auth_for(mcp_server, dpop=True)) as mcp:
                return await mcp.call_tool("add", {"a": 1, "b": 2})

        assert asyncio.run(visit()).structured_content == {"result": 3}

    def test_a_redirect_inside_the_resource_gets_a_new_proof(self, mcp_server):
        with gatepass.AuthorizedClient(auth_for(mcp_server, dpop=True), follow_redirects=True) as http:
            assert http.get("plain/redirect", params={"to": hello(mcp_server)}).status_code == 200

    def test_a_redirect_out_of_it_takes_neither_token_nor_proof_along(self, mcp_server):
        with gatepass.AuthorizedClient(auth_for(mcp_server, dpop=True), follow_redirects=True) as http:
            answer = http.get("plain/redirect", params={"to": f"{mcp_server.origin}/other"})
        assert not {"authorization", "dpop"} & set(answer.json()["headers"])

    def test_a_token_that_is_not_bound_is_refused(self, mcp_server, auth_server):
        auth_server.dpop = "off"
        with pytest.raises(gatepass.RemoteError, match="does not bind") as refused:
            auth_for(mcp_server, scopes=["mcp:read"], dpop=True).token()
        assert refused.value.code == "token_response_invalid"

    def test_a_resource_that_takes_nothing_else_is_told_of_before_anything_is_asked(self, mcp_server, auth_server):
        with pytest.raises(gatepass.ConfigurationError, match="dpop=True") as refused:
            get(auth_for(mcp_server), hello(mcp_server))
        assert refused.value.code == "dpop_required"
        assert auth_server.count("token") == 0

    def test_algorithms_that_neither_server_takes_are_refused_before_anything_is_asked(self, mcp_server, auth_server):
        auth_server.dpop_algorithms = ("ES384",)
        with pytest.raises(gatepass.ConfigurationError, match="ES384") as refused:
            get(auth_for(mcp_server, dpop=True), hello(mcp_server))
        assert refused.value.code == "dpop_alg_not_offered"
        assert auth_server.count("token") == 0


class TestKeysThatLast:
    def test_a_key_that_was_made_is_good_after_a_restart(self, mcp_server, auth_server, tmp_path):
        for _ in range(2):
            store = gatepass.FileStore(tmp_path / "store")
            assert get(auth_for(mcp_server, dpop=True, store=store), hello(mcp_server)).status_code == 200
        assert auth_server.count("token", status=200) == 1

    def test_a_key_of_ones_own_is_too_and_another_one_means_another_token(self, mcp_server, auth_server, tmp_path):
        path = tmp_path / "dpop.pem"
        path.write_text(key_material.pem("P-256"))
        tokens = []
        for number in (0, 0, 1):
            path.write_text(key_material.pem("P-256", number=number))
            store = gatepass.FileStore(tmp_path / "store")
            auth = auth_for(mcp_server, dpop=path, store=store)
            assert get(auth, hello(mcp_server)).status_code == 200
            tokens.append(auth.token())
        assert tokens[0] == tokens[1] != tokens[2]

    def test_a_bearer_token_in_the_store_is_not_taken_for_a_bound_one(self, mcp_server, auth_server, tmp_path):
        mcp_server.dpop = "accepted"
        store = gatepass.FileStore(tmp_path / "store")
        plain = auth_for(mcp_server, store=store, scopes=["mcp:read"])
        bound = auth_for(mcp_server, store=store, scopes=["mcp:read"], dpop=True)
        assert plain.token() != bound.token()
        assert get(plain, hello(mcp_server)).status_code == get(bound, hello(mcp_server)).status_code == 200

    def test_a_signer_that_is_not_local_signs_on_a_worker_and_gets_in(self, mcp_server):
        threads = []

        class Elsewhere:
            def __init__(self):
                from gatepass.keys import parse_private_key

                self._key = parse_private_key(key_material.pem("P-256"), None, origin="key")
                self.algorithms, self.public_jwk = self._key.algorithms, self._key.public_jwk

            def sign(self, algorithm, data):
                import threading

                threads.append(threading.current_thread().name)
                return self._key.sign(algorithm, data)

        auth = auth_for(mcp_server, dpop=Elsewhere())

        async def visit():
            async with httpx2.AsyncClient(auth=auth) as http:
                return await http.get(hello(mcp_server))

        assert asyncio.run(visit()).status_code == 200
        assert set(threads) == {"gatepass"}


class TestCertificates:
    @pytest.fixture
    def certificates(self, tmp_path):
        return Certificates(tmp_path)

    @pytest.fixture
    def auth_server(self, certificates):
        own = certificates.self_signed("own")
        with AuthorizationServer(
            tls=certificates.tls("requested"),
            methods=("tls_client_auth", "self_signed_tls_client_auth", "client_secret_basic"),
        ) as server:
            server.add_client(CLIENT_ID, certificate_subject=f"CN={CLIENT_ID}", scopes=SCOPES)
            server.add_client("own", certificate=own.read_text(), scopes=SCOPES)
            server.add_client("secretive", secret=SECRET, scopes=SCOPES)
            yield server

    @pytest.fixture
    def mcp_server(self, auth_server, certificates):
        with ProtectedServer(auth_server, scopes=("mcp:read",), tls=certificates.tls("requested")) as server:
            yield server

    def auth(self, mcp_server, certificates, file, client=None, **options):
        http = gatepass.TokenHttp(cert=str(file), verify=str(certificates.ca))
        client = client or gatepass.TlsClient(Path(file).name.split(".")[0])
        return auth_for(mcp_server, client, http=http, **options)

    def greeting(self, auth):
        with gatepass.AuthorizedClient(auth) as http:
            return http.get("plain/hello")

    def test_a_certificate_of_an_authority_gets_in(self, mcp_server, certificates):
        auth = self.auth(mcp_server, certificates, certificates.client(CLIENT_ID))
        assert self.greeting(auth).json() == {"hello": CLIENT_ID}

    def test_so_does_one_that_signed_itself(self, mcp_server, certificates, tmp_path):
        auth = self.auth(mcp_server, certificates, tmp_path / "own.self-signed.pem")
        assert self.greeting(auth).json() == {"hello": "own"}

    def test_a_token_of_another_method_is_bound_to_the_certificate_all_the_same(self, mcp_server, certificates):
        file = certificates.client("anybody")
        auth = self.auth(mcp_server, certificates, file, client=by_secret(client_id="secretive"))
        assert self.greeting(auth).status_code == 200
        token = auth.token()
        with httpx2.Client(verify=ssl.create_default_context(cafile=certificates.ca)) as thief:
            answer = thief.get(hello(mcp_server), headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401

    def test_the_aliases_are_for_those_who_show_a_certificate(self, mcp_server, auth_server, certificates):
        auth_server.mtls_aliases = True
        auth = self.auth(mcp_server, certificates, certificates.client(CLIENT_ID))
        assert self.greeting(auth).status_code == 200
        (request,) = [record for record in auth_server.requests if record.grant_type]
        assert request.path != "/token"

    def test_without_a_certificate_the_error_says_where_it_goes(self, mcp_server, certificates):
        http = gatepass.TokenHttp(verify=str(certificates.ca))
        with pytest.raises(gatepass.ConfigurationError, match=r"TokenHttp\(cert=") as refused:
            auth_for(mcp_server, gatepass.TlsClient(CLIENT_ID), http=http, scopes=["mcp:read"]).token()
        assert refused.value.code == "certificate_missing"

    def test_a_certificate_that_was_renewed_is_shown_from_the_next_token_on(
        self, mcp_server, auth_server, certificates, tmp_path
    ):
        file = tmp_path / "current.pem"
        file.write_bytes(certificates.client(CLIENT_ID).read_bytes())
        store = gatepass.FileStore(tmp_path / "store")
        client = gatepass.TlsClient(CLIENT_ID)
        first = self.auth(mcp_server, certificates, file, client=client, store=store)
        assert self.greeting(first).status_code == 200
        file.write_bytes(certificates.client(CLIENT_ID).read_bytes())
        second = self.auth(mcp_server, certificates, file, client=client, store=store)
        assert self.greeting(second).status_code == 200
        assert first.token() != second.token(), "the stored one is bound to the old certificate"

    def test_it_goes_with_proofs(self, mcp_server, auth_server, certificates):
        auth_server.dpop = "optional"
        mcp_server.dpop = "required"
        auth = self.auth(mcp_server, certificates, certificates.client(CLIENT_ID), dpop=True)
        assert self.greeting(auth).status_code == 200
        assert cost(mcp_server)["token"] == 1
