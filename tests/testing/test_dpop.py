"""Proofs of possession at both servers: what a proof must be like, and what it binds (RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from testing.answers import refused

from gatepass.testing import Binding, Trouble

RSA = RSAKey.generate_key(2048)


@pytest.fixture
def auth_server(auth_server):
    auth_server.dpop = "optional"
    return auth_server


class TestProofs:
    """One proof after the other at the token endpoint: the protected server has the same eyes."""

    @pytest.fixture
    def prove(self, ask):
        def prove(*proofs):
            return ask(headers=[("DPoP", proof) for proof in proofs])

        return prove

    def test_a_right_one_gives_a_bound_token(self, auth_server, prove, proof, proof_key, resource):
        answer = prove(proof()).json()
        assert answer["token_type"] == "DPoP"
        issued = auth_server.verify(answer["access_token"], audience=auth_server.issuer)
        assert issued.binding.jkt == proof_key.thumbprint()

    @pytest.mark.parametrize("token_format", ["jwt", "opaque"])
    def test_the_binding_is_in_the_token_or_on_the_books(self, auth_server, prove, proof, proof_key, token_format):
        auth_server.token_format = token_format
        token = prove(proof()).json()["access_token"]
        assert auth_server.verify(token, audience=auth_server.issuer).binding.jkt == proof_key.thumbprint()

    @pytest.mark.parametrize(
        ("algorithm", "key"),
        [
            ("ES256", ECKey.generate_key("P-256")),
            ("ES384", ECKey.generate_key("P-384")),
            ("RS256", RSA),
            ("PS256", RSA),
            ("Ed25519", OKPKey.generate_key("Ed25519")),
        ],
    )
    def test_any_asymmetric_algorithm_will_do(self, prove, proof, algorithm, key):
        assert prove(proof(key=key, header={"alg": algorithm})).status_code == 200

    def test_an_algorithm_that_is_not_allowed_is_refused(self, auth_server, prove, proof):
        auth_server.dpop_algorithms = ("PS256",)
        refused(prove(proof()), "invalid_dpop_proof")
        assert prove(proof(key=RSA, header={"alg": "PS256"})).status_code == 200

    @pytest.mark.parametrize(
        ("claims", "fault"),
        [
            ({"htm": "GET"}, "htm"),
            ({"htm": "post"}, "htm"),
            ({"htm": None}, "htm"),
            ({"htu": "https://other.example/token"}, "htu"),
            ({"htu": None}, "htu"),
            ({"iat": None}, "iat"),
            ({"iat": "now"}, "iat"),
            ({"iat": time.time() - 3600}, "iat"),
            ({"iat": time.time() + 3600}, "iat"),
            ({"jti": None}, "jti"),
            ({"jti": 7}, "jti"),
            ({"jti": ""}, "jti"),
        ],
    )
    def test_a_wrong_claim_is_refused(self, prove, proof, claims, fault):
        assert fault in refused(prove(proof(**claims)), "invalid_dpop_proof")

    @pytest.mark.parametrize("tail", ["?x=1", "#x", "/"])
    def test_the_url_is_without_query_and_fragment(self, auth_server, prove, proof, tail):
        assert "htu" in refused(prove(proof(htu=auth_server.token_endpoint + tail)), "invalid_dpop_proof")

    @pytest.mark.parametrize("offset_s", [-59, 59])
    def test_a_clock_may_be_off_by_a_minute(self, prove, proof, offset_s):
        assert prove(proof(iat=time.time() + offset_s)).status_code == 200

    @pytest.mark.parametrize("typ", [None, "JWT", "dpop"])
    def test_another_typ_is_refused(self, prove, proof, typ):
        assert "typ" in refused(prove(proof(header={"typ": typ})), "invalid_dpop_proof")

    def test_one_without_a_key_is_refused(self, prove, proof):
        assert "jwk" in refused(prove(proof(header={"jwk": None})), "invalid_dpop_proof")

    @pytest.mark.parametrize("jwk", [{}, {"kty": "EC", "crv": "P-256"}, {"kty": "EC", "crv": "P-0"}, {"kty": "x"}])
    def test_what_is_no_key_is_refused(self, prove, proof, jwk):
        assert "jwk" in refused(prove(proof(header={"jwk": jwk})), "invalid_dpop_proof")

    def test_a_private_key_is_refused(self, prove, proof, proof_key):
        jwk = proof_key.as_dict(private=True)
        assert "public" in refused(prove(proof(header={"jwk": jwk})), "invalid_dpop_proof")

    def test_a_symmetric_key_is_refused(self, prove, proof):
        key = OctKey.generate_key(256)
        signed = proof(key=key, header={"alg": "HS256", "jwk": key.as_dict()})
        assert "public" in refused(prove(signed), "invalid_dpop_proof")

    def test_a_signature_of_another_key_is_refused(self, prove, proof, other_key):
        signed = proof(header={"jwk": other_key.as_dict(private=False)})
        refused(prove(signed), "invalid_dpop_proof")

    @pytest.mark.parametrize("garbage", ["", "abc", "a.b.c"])
    def test_what_is_not_a_jwt_is_refused(self, prove, garbage):
        refused(prove(garbage), "invalid_dpop_proof")

    def test_no_signature_is_no_signature(self, prove, proof):
        header, claims, _ = proof().split(".")
        decoded = json.loads(base64.urlsafe_b64decode(header + "=="))
        unsigned = base64.urlsafe_b64encode(json.dumps({**decoded, "alg": "none"}).encode()).rstrip(b"=").decode()
        refused(prove(f"{unsigned}.{claims}."), "invalid_dpop_proof")

    def test_two_are_one_too_many(self, prove, proof):
        assert "exactly one" in refused(prove(proof(), proof()), "invalid_dpop_proof")

    def test_the_same_one_is_refused_the_second_time(self, auth_server, prove, proof):
        used = proof()
        assert prove(used).status_code == 200
        assert "jti" in refused(prove(used), "invalid_dpop_proof")
        assert auth_server.proofs == 1

    def test_one_that_was_refused_is_used_up_too(self, prove, proof):
        refused(prove(proof(jti="one", htm="GET")), "invalid_dpop_proof")
        assert "jti" in refused(prove(proof(jti="one")), "invalid_dpop_proof")

    def test_two_keys_may_have_the_same_jti(self, prove, proof, other_key):
        assert prove(proof(jti="one")).status_code == 200
        assert prove(proof(jti="one", key=other_key)).status_code == 200

    def test_they_are_counted(self, auth_server, prove, proof):
        for _ in range(3):
            prove(proof())
        assert auth_server.proofs == auth_server.count("token") == 3

    def test_the_time_is_the_servers(self, auth_server, prove, proof):
        auth_server.trouble = Trouble(clock_offset_s=3600, times=1)
        assert prove(proof(iat=time.time() + 3600)).status_code == 200


class TestPolicy:
    def test_a_server_that_does_not_know_it_does_not_look(self, auth_server, ask, metadata):
        auth_server.dpop, auth_server.dpop_nonce = "off", True
        response = ask(headers={"DPoP": "garbage"})
        assert response.json()["token_type"] == "Bearer"
        assert "dpop-nonce" not in response.headers
        assert "dpop_signing_alg_values_supported" not in metadata()

    def test_where_it_is_optional_a_request_without_gets_a_bearer_token(self, auth_server, ask):
        answer = ask().json()
        assert answer["token_type"] == "Bearer"
        assert auth_server.verify(answer["access_token"], audience=auth_server.issuer).binding.jkt is None

    def test_where_it_is_required_a_request_without_is_refused(self, auth_server, ask, proof):
        auth_server.dpop = "required"
        assert "DPoP" in refused(ask(), "invalid_request")
        assert ask(headers={"DPoP": proof()}).status_code == 200

    def test_the_metadata_lists_the_algorithms(self, auth_server, metadata):
        auth_server.dpop_algorithms = ("ES256",)
        assert metadata()["dpop_signing_alg_values_supported"] == ["ES256"]

    def test_the_client_is_checked_before_the_proof(self, ask):
        refused(ask(auth=("ci-bot", "wrong"), headers={"DPoP": "garbage"}), "invalid_client", 401)


class TestNonces:
    @pytest.fixture(autouse=True)
    def _nonces(self, auth_server):
        auth_server.dpop_nonce = True

    @pytest.mark.parametrize("nonce", [None, "made up", 7, ["list"]])
    def test_a_proof_without_the_right_one_gets_it(self, ask, proof, nonce):
        response = ask(headers={"DPoP": proof(nonce=nonce)})
        refused(response, "use_dpop_nonce")
        answer = ask(headers={"DPoP": proof(nonce=response.headers["dpop-nonce"])})
        assert (answer.status_code, answer.headers["dpop-nonce"]) == (200, response.headers["dpop-nonce"])

    def test_an_old_one_is_refused(self, auth_server, ask, proof):
        old = ask(headers={"DPoP": proof()}).headers["dpop-nonce"]
        auth_server.rotate_dpop_nonce()
        response = ask(headers={"DPoP": proof(nonce=old)})
        refused(response, "use_dpop_nonce")
        assert response.headers["dpop-nonce"] != old

    def test_an_old_one_may_stay_good_while_a_new_one_is_offered(self, auth_server, ask, proof):
        old = ask(headers={"DPoP": proof()}).headers["dpop-nonce"]
        auth_server.rotate_dpop_nonce(keep_old=True)
        response = ask(headers={"DPoP": proof(nonce=old)})
        assert response.status_code == 200
        assert response.headers["dpop-nonce"] != old

    def test_none_is_offered_to_a_request_without_a_proof(self, ask):
        assert "dpop-nonce" not in ask().headers

    def test_none_is_offered_by_a_server_that_wants_none(self, auth_server, ask, proof):
        auth_server.dpop_nonce = False
        assert "dpop-nonce" not in ask(headers={"DPoP": proof(nonce="any")}).headers


class TestProtectedServer:
    @pytest.fixture
    def bound(self, auth_server, mcp_server, proof_key):
        binding = Binding(jkt=proof_key.thumbprint())
        return auth_server.issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",), binding=binding)

    @pytest.fixture
    def bearer(self, auth_server, mcp_server):
        return auth_server.issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",))

    @pytest.fixture
    def hello(self, http, mcp_server):
        def hello(token, *proofs, scheme="DPoP", query=""):
            headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs)]
            return http.get(f"{mcp_server.url}/plain/hello{query}", headers=headers)

        return hello

    @pytest.fixture
    def prove(self, mcp_server, proof):
        """A proof for `hello`."""

        def prove(token, **wrong):
            right = {"htm": "GET", "htu": f"{mcp_server.url}/plain/hello", "ath": hash_of(token)}
            return proof(**{**right, **wrong})

        return prove

    @pytest.fixture
    def turned_away(self, mcp_server):
        def turned_away(response, error, scheme="DPoP"):
            assert response.status_code == 401
            challenge = next(each for each in challenges(response) if each.startswith(scheme))
            assert f'error="{error}"' in challenge
            assert not any("error" in each for each in challenges(response) if each != challenge)
            return response.json()["error_description"]

        return turned_away

    @pytest.mark.parametrize("token_format", ["jwt", "opaque"])
    @pytest.mark.parametrize("scheme", ["DPoP", "dpop"])
    def test_a_bound_token_with_a_proof_gets_in(
        self, auth_server, mcp_server, proof_key, hello, prove, token_format, scheme
    ):
        auth_server.token_format = token_format
        binding = Binding(jkt=proof_key.thumbprint())
        token = auth_server.issue_token("ci-bot", audience=mcp_server.url, scopes=("mcp:read",), binding=binding)
        assert hello(token, prove(token), scheme=scheme).json() == {"hello": "ci-bot"}

    def test_the_query_is_not_in_the_proof(self, bound, hello, prove, turned_away, mcp_server):
        assert hello(bound, prove(bound), query="?a=b").status_code == 200
        wrong = prove(bound, htu=f"{mcp_server.url}/plain/hello?a=b")
        assert "htu" in turned_away(hello(bound, wrong, query="?a=b"), "invalid_dpop_proof")

    def test_a_bound_token_is_no_bearer_token(self, bound, hello, prove, turned_away):
        turned_away(hello(bound, scheme="Bearer"), "invalid_token", "Bearer")
        turned_away(hello(bound, prove(bound), scheme="Bearer"), "invalid_token", "Bearer")

    def test_a_bearer_token_is_no_bound_one(self, bearer, hello, prove, turned_away):
        assert hello(bearer, scheme="Bearer").status_code == 200
        turned_away(hello(bearer, prove(bearer)), "invalid_token")

    def test_another_key_is_refused(self, bound, hello, prove, other_key, turned_away):
        turned_away(hello(bound, prove(bound, key=other_key)), "invalid_token")

    @pytest.mark.parametrize("ath", [None, "", "wrong", hashlib.sha256(b"other").hexdigest()])
    def test_a_proof_for_another_token_is_refused(self, bound, hello, prove, turned_away, ath):
        assert "ath" in turned_away(hello(bound, prove(bound, ath=ath)), "invalid_dpop_proof")

    @pytest.mark.parametrize(
        "wrong", [{"htm": "POST"}, {"htu": "https://other.example/mcp"}, {"iat": 0}, {"jti": None}]
    )
    def test_a_wrong_proof_is_refused(self, bound, hello, prove, turned_away, wrong):
        turned_away(hello(bound, prove(bound, **wrong)), "invalid_dpop_proof")

    def test_a_proof_is_good_once(self, mcp_server, bound, hello, prove, turned_away):
        used = prove(bound)
        assert hello(bound, used).status_code == 200
        assert "jti" in turned_away(hello(bound, used), "invalid_dpop_proof")
        assert mcp_server.proofs == 1

    def test_no_proof_and_two_proofs_are_refused(self, bound, hello, prove, turned_away):
        assert "exactly one" in turned_away(hello(bound), "invalid_dpop_proof")
        assert "exactly one" in turned_away(hello(bound, prove(bound), prove(bound)), "invalid_dpop_proof")

    def test_a_token_past_its_end_is_refused_with_the_best_of_proofs(
        self, auth_server, bound, hello, prove, turned_away
    ):
        auth_server.revoke_all()
        turned_away(hello(bound, prove(bound)), "invalid_token")

    def test_it_may_be_required(self, mcp_server, bearer, bound, hello, prove, turned_away):
        mcp_server.dpop = "required"
        turned_away(hello(bearer, scheme="Bearer"), "invalid_token")
        assert hello(bound, prove(bound)).status_code == 200

    def test_a_token_that_allows_too_little_is_told_so_in_its_scheme(self, mcp_server, bound, hello, prove):
        mcp_server.scopes = ("mcp:admin",)
        response = hello(bound, prove(bound))
        assert response.status_code == 403
        assert 'scope="mcp:admin"' in challenges(response)[1]
        assert 'error="insufficient_scope"' in challenges(response)[1]

    def test_an_algorithm_that_is_not_allowed_is_refused(self, mcp_server, bound, hello, prove, turned_away):
        mcp_server.dpop_algorithms = ("PS256",)
        turned_away(hello(bound, prove(bound)), "invalid_dpop_proof")

    class TestChallenges:
        def test_both_schemes_are_offered_where_both_are_good(self, http, mcp_server):
            mcp_server.challenge = ("algs",)
            mcp_server.dpop_algorithms = ("ES256", "PS256")
            assert challenges(http.get(mcp_server.url)) == ["Bearer", 'DPoP algs="ES256 PS256"']

        def test_one_is_offered_where_it_is_required(self, http, mcp_server):
            mcp_server.dpop = "required"
            (challenge,) = challenges(http.get(mcp_server.url))
            assert challenge.startswith(f'DPoP resource_metadata="{mcp_server.metadata_url}", scope="mcp:read", algs=')

        def test_it_is_not_mentioned_where_nobody_binds_tokens(self, http, auth_server, mcp_server):
            auth_server.dpop = "off"
            (challenge,) = challenges(http.get(mcp_server.url))
            assert challenge.startswith("Bearer ")
            assert "algs" not in challenge
            assert not any("dpop" in name for name in http.get(mcp_server.metadata_url).json())

        def test_who_uses_it_unasked_is_answered_in_kind(self, http, auth_server, mcp_server):
            auth_server.dpop = "off"
            response = http.get(mcp_server.url, headers={"Authorization": "DPoP abc"})
            assert 'error="invalid_dpop_proof"' in challenges(response)[1]

        def test_the_metadata_says_so_too(self, http, mcp_server):
            mcp_server.dpop_algorithms = ("ES256",)
            document = http.get(mcp_server.metadata_url).json()
            assert document["dpop_signing_alg_values_supported"] == ["ES256"]
            assert "dpop_bound_access_tokens_required" not in document
            mcp_server.dpop = "required"
            assert http.get(mcp_server.metadata_url).json()["dpop_bound_access_tokens_required"] is True

    class TestNonces:
        @pytest.fixture(autouse=True)
        def _nonces(self, mcp_server):
            mcp_server.dpop_nonce = True

        def test_a_proof_without_the_right_one_gets_it(self, bound, hello, prove, turned_away):
            response = hello(bound, prove(bound))
            turned_away(response, "use_dpop_nonce")
            answer = hello(bound, prove(bound, nonce=response.headers["dpop-nonce"]))
            assert (answer.status_code, answer.headers["dpop-nonce"]) == (200, response.headers["dpop-nonce"])

        def test_that_of_the_authorization_server_is_another(
            self, auth_server, ask, proof, bound, hello, prove, turned_away
        ):
            auth_server.dpop_nonce = True
            theirs = ask(headers={"DPoP": proof()}).headers["dpop-nonce"]
            response = hello(bound, prove(bound, nonce=theirs))
            turned_away(response, "use_dpop_nonce")
            assert response.headers["dpop-nonce"] != theirs

        def test_an_old_one_is_refused(self, mcp_server, bound, hello, prove, turned_away):
            old = hello(bound, prove(bound)).headers["dpop-nonce"]
            mcp_server.rotate_dpop_nonce()
            turned_away(hello(bound, prove(bound, nonce=old)), "use_dpop_nonce")

        def test_an_old_one_may_stay_good_while_a_new_one_is_offered(self, mcp_server, bound, hello, prove):
            old = hello(bound, prove(bound)).headers["dpop-nonce"]
            mcp_server.rotate_dpop_nonce(keep_old=True)
            response = hello(bound, prove(bound, nonce=old))
            assert response.status_code == 200
            assert response.headers["dpop-nonce"] != old

        def test_none_is_offered_to_a_request_without_a_proof(self, http, mcp_server, bearer, hello):
            assert "dpop-nonce" not in http.get(mcp_server.url).headers
            assert "dpop-nonce" not in hello(bearer, scheme="Bearer").headers


def hash_of(token):
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def challenges(response):
    return response.headers.get_list("www-authenticate")
