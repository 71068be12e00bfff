"""Client authentication at the authorization server: what it takes, and what it refuses."""

from __future__ import annotations

import base64
import hmac
import time
from urllib.parse import quote_plus

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gatepass.testing import AuthorizationServer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


NONE = base64url(b'{"alg":"none"}')
HS256 = base64url(b'{"alg":"HS256"}')


def basic(client_id, secret):
    """RFC 6749 §2.3.1."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def refused(response, error="invalid_client", status=401):
    assert response.status_code == status
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["error"] == error
    return response.json()["error_description"]


class TestSecrets:
    @pytest.mark.parametrize(
        ("client_id", "secret"),
        [
            ("ci-bot", "s3cret"),
            ("https://client.example/a b", "p%40ss:w+rd &=?"),
            ("bücher", "geheim€ß"),
        ],
    )
    def test_basic_takes_form_urlencoded_credentials(self, auth_server, ask, client_id, secret):
        auth_server.add_client(client_id, secret=secret)
        assert ask(auth=None, headers=basic(client_id, secret)).status_code == 200

    @pytest.mark.parametrize("secret", ["p:w", "p w", "p/w", "100%", "%zz", "ß"])
    def test_basic_refuses_credentials_that_are_not_form_urlencoded(self, auth_server, ask, secret):
        auth_server.add_client("ci-bot", secret=secret)
        pair = base64.b64encode(f"ci-bot:{secret}".encode()).decode()
        assert "form-urlencoded" in refused(ask(auth=None, headers={"Authorization": f"Basic {pair}"}))

    @pytest.mark.parametrize("value", ["Bearer abc", "Basic", "Basic !!!", "Basic Y2ktYm90", "Basic JWZmOiVmZg=="])
    def test_an_authorization_header_that_makes_no_sense_is_refused(self, ask, value):
        refused(ask(auth=None, headers={"Authorization": value}))

    def test_a_wrong_basic_secret_gets_a_challenge(self, ask):
        response = ask(auth=("ci-bot", "wrong"))
        assert "secret" in refused(response)
        assert response.headers["www-authenticate"].startswith("Basic ")

    def test_a_secret_in_the_body_is_taken(self, ask):
        assert ask(auth=None, client_id="ci-bot", client_secret="s3cret").status_code == 200

    def test_a_wrong_secret_in_the_body_gets_no_challenge(self, ask):
        response = ask(auth=None, client_id="ci-bot", client_secret="wrong")
        refused(response)
        assert "www-authenticate" not in response.headers

    def test_an_unknown_client_is_refused(self, ask):
        assert "unknown" in refused(ask(auth=("nobody", "s3cret")))

    def test_a_request_without_any_client_is_refused(self, ask):
        assert "no client" in refused(ask(auth=None))

    def test_a_removed_client_is_refused(self, auth_server, ask):
        auth_server.remove_client("ci-bot")
        refused(ask())

    def test_a_client_registered_again_has_its_new_secret_only(self, auth_server, ask):
        auth_server.add_client("ci-bot", secret="n3w")
        refused(ask())
        assert ask(auth=("ci-bot", "n3w")).status_code == 200

    @pytest.mark.parametrize(
        ("method", "form"),
        [
            ("client_secret_post", {"auth": ("ci-bot", "s3cret")}),
            ("client_secret_basic", {"auth": None, "client_id": "ci-bot", "client_secret": "s3cret"}),
        ],
    )
    def test_a_method_that_the_client_is_not_registered_for_is_refused(self, auth_server, ask, method, form):
        auth_server.add_client("ci-bot", secret="s3cret", methods=(method,))
        assert "not registered for" in refused(ask(**form))

    def test_a_client_without_a_secret_cannot_use_one(self, auth_server, ask, key):
        auth_server.add_client("ci-bot", public_key=key)
        refused(ask(auth=("ci-bot", "")))


class TestSeveralMethods:
    @pytest.mark.parametrize(
        "form",
        [
            {"client_id": "ci-bot", "client_secret": "s3cret"},
            {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "x.y.z"},
        ],
    )
    def test_more_than_one_at_once_is_an_invalid_request(self, ask, form):
        assert "more than one" in refused(ask(**form), "invalid_request", 400)

    def test_basic_may_be_joined_by_its_own_client_id(self, ask):
        assert ask(client_id="ci-bot").status_code == 200

    def test_basic_may_not_be_joined_by_another_client_id(self, ask):
        refused(ask(client_id="other"), "invalid_request", 400)


class TestPublicClients:
    def test_one_may_not_use_client_credentials(self, auth_server, ask):
        auth_server.add_client("public")
        refused(ask(auth=None, client_id="public"), "unauthorized_client", 400)

    def test_one_may_if_a_test_insists(self, auth_server, ask):
        auth_server.add_client("public", grants=("client_credentials",))
        assert ask(auth=None, client_id="public").status_code == 200

    def test_a_confidential_client_may_not_pose_as_one(self, ask):
        refused(ask(auth=None, client_id="ci-bot"))


@pytest.fixture
def present(ask, assertion):
    """Presents an assertion of ci-bot's."""

    def present(ready=None, *, form=None, **wrong):
        jwt = assertion(**wrong) if ready is None else ready
        return ask(auth=None, **{"client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt, **(form or {})})

    return present


@pytest.fixture
def registered(auth_server, key):
    auth_server.add_client("ci-bot", public_key=key)


KEYS = {
    "RSA": RSAKey.generate_key(2048),
    "P-256": ECKey.generate_key("P-256"),
    "P-384": ECKey.generate_key("P-384"),
    "P-521": ECKey.generate_key("P-521"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
}
ALGORITHMS = [
    *((name, "RSA") for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ("ES256", "P-256"),
    ("ES384", "P-384"),
    ("ES512", "P-521"),
    ("EdDSA", "Ed25519"),
    ("Ed25519", "Ed25519"),
]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
class TestKeys:
    @pytest.mark.parametrize(("algorithm", "name"), ALGORITHMS)
    def test_every_algorithm_is_verified(self, auth_server, present, algorithm, name):
        auth_server.add_client("ci-bot", public_key=KEYS[name])
        assert present(key=KEYS[name], header={"alg": algorithm}).status_code == 200

    @pytest.mark.parametrize("name", KEYS)
    @pytest.mark.parametrize("form", ["pem", "pem text", "jwk", "private jwk", "jwks", "list"])
    def test_a_public_key_is_taken_in_every_form(self, auth_server, present, name, form):
        key = KEYS[name]
        given = {
            "pem": {"public_key": key.as_pem(private=False)},
            "pem text": {"public_key": key.as_pem(private=False).decode()},
            "jwk": {"public_key": key.as_dict(private=False)},
            "private jwk": {"public_key": key.as_dict(private=True)},
            "jwks": {"jwks": {"keys": [key.as_dict(private=False)]}},
            "list": {"jwks": [KEYS["P-256"], key]},
        }[form]
        client = auth_server.add_client("ci-bot", **given)
        assert not any(key.is_private for key in client.keys)
        algorithm = next(algorithm for algorithm, kind in ALGORITHMS if kind == name)
        assert present(key=key, header={"alg": algorithm}).status_code == 200

    @pytest.mark.parametrize("key", [OctKey.generate_key(256), "not a key", b""])
    def test_anything_else_is_no_public_key(self, auth_server, key):
        with pytest.raises(ValueError, match="key"):
            auth_server.add_client("ci-bot", public_key=key)

    def test_another_key_is_refused(self, registered, present):
        assert "no registered key" in refused(present(key=ECKey.generate_key("P-256")))

    def test_an_algorithm_that_is_not_allowed_is_refused(self, auth_server, registered, present):
        auth_server.algorithms = ("RS256",)
        assert "algorithm" in refused(present())

    def test_an_algorithm_that_the_key_is_not_for_is_refused(self, auth_server, present):
        auth_server.add_client("ci-bot", public_key={**KEYS["RSA"].as_dict(private=False), "alg": "PS256"})
        refused(present(key=KEYS["RSA"], header={"alg": "RS256"}))
        assert present(key=KEYS["RSA"], header={"alg": "PS256"}).status_code == 200

    def test_no_signature_is_no_signature(self, registered, present, assertion):
        refused(present(f"{NONE}.{assertion().split('.')[1]}."))

    def test_a_mac_made_with_the_public_key_is_refused(self, auth_server, present, assertion):
        pem = KEYS["RSA"].as_pem(private=False)
        auth_server.add_client("ci-bot", public_key=pem)
        signed = f"{HS256}.{assertion().split('.')[1]}"
        refused(present(f"{signed}.{base64url(hmac.digest(pem, signed.encode(), 'sha256'))}"))

    def test_the_kid_is_the_keys_own(self, auth_server, present, key):
        auth_server.add_client("ci-bot", public_key={**key.as_dict(private=False), "kid": "k1"})
        assert present(header={"kid": "k1"}).status_code == 200
        refused(present(header={"kid": "k2"}))

    def test_the_kid_of_a_key_without_one_is_its_thumbprint(self, auth_server, present, key):
        auth_server.add_client("ci-bot", public_key=key.as_pem(private=False))
        assert present(header={"kid": key.thumbprint()}).status_code == 200
        refused(present(header={"kid": "k2"}))


class TestAssertions:
    @pytest.mark.parametrize("typ", ["JWT", "jwt", "client-authentication+jwt"])
    def test_the_typ_may_be_either(self, registered, present, typ):
        assert present(header={"typ": typ}).status_code == 200

    @pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt"])
    def test_another_typ_is_refused(self, registered, present, typ):
        assert "typ" in refused(present(header={"typ": typ}))

    @pytest.mark.parametrize(
        ("claims", "fault"),
        [
            ({"iss": "other"}, "iss and sub"),
            ({"iss": None}, "iss and sub"),
            ({"aud": None}, "aud"),
            ({"aud": "https://other.example"}, "aud"),
            ({"exp": None}, "exp"),
            ({"exp": "soon"}, "exp"),
            ({"exp": True}, "exp"),
            ({"exp": float("nan")}, "JSON"),
            ({"exp": int(time.time()) - 1}, "expired"),
            ({"exp": int(time.time()) + 86_400}, "ahead"),
            ({"iat": int(time.time()) + 86_400}, "iat"),
            ({"iat": "now"}, "iat"),
            ({"nbf": int(time.time()) + 86_400}, "nbf"),
            ({"jti": None}, "jti"),
            ({"jti": 7}, "jti"),
            ({"jti": ""}, "jti"),
        ],
    )
    def test_a_wrong_claim_is_refused(self, registered, present, claims, fault):
        assert fault in refused(present(**claims))

    def test_an_unknown_subject_is_refused(self, registered, present):
        assert "unknown" in refused(present(sub="other", iss="other"))

    @pytest.mark.parametrize("garbage", [" ", "abc", "a.b.c", "e30.e30.", "ä.ö.ü"])
    def test_what_is_not_a_jwt_is_refused(self, registered, present, garbage):
        refused(present(garbage))

    @pytest.mark.parametrize("payload", [b"[]", b"{", b"7"])
    def test_claims_that_are_no_object_are_refused(self, registered, present, key, payload):
        refused(present(jws.serialize_compact({"alg": "ES256"}, payload, key, algorithms=["ES256"])))

    def test_the_same_jti_is_refused_the_second_time(self, registered, present, assertion):
        jwt = assertion()
        assert present(jwt).status_code == 200
        assert "jti" in refused(present(jwt))

    def test_two_clients_may_have_the_same_jti(self, auth_server, registered, present, key):
        auth_server.add_client("other", public_key=key)
        assert present(jti="one").status_code == 200
        assert present(jti="one", iss="other", sub="other").status_code == 200

    def test_a_failed_assertion_does_not_use_up_its_jti(self, registered, present):
        refused(present(jti="one", aud="https://other.example"))
        assert present(jti="one").status_code == 200

    def test_strictly_the_audience_is_one_string(self, auth_server, registered, present):
        refused(present(aud=[auth_server.issuer]))
        refused(present(aud=auth_server.token_endpoint))

    def test_it_may_have_to_be_the_token_endpoint(self, auth_server, registered, present):
        auth_server.audience = "token_endpoint"
        assert present(aud=auth_server.token_endpoint).status_code == 200
        refused(present(aud=auth_server.issuer))

    def test_leniently_it_may_be_a_list_or_the_token_endpoint(self, auth_server, registered, present):
        auth_server.audience = "lenient"
        for audience in (auth_server.issuer, [auth_server.issuer, "x"], auth_server.token_endpoint):
            assert present(aud=audience).status_code == 200
        refused(present(aud=["x"]))

    def test_how_far_ahead_it_may_end_is_a_setting(self, auth_server, registered, present):
        auth_server.max_assertion_life_s = 7200
        assert present(exp=int(time.time()) + 3600).status_code == 200

    def test_the_client_id_may_be_sent_with_it(self, registered, present):
        assert present(form={"client_id": "ci-bot"}).status_code == 200

    def test_another_client_id_may_not(self, registered, present):
        refused(present(form={"client_id": "other"}))

    @pytest.mark.parametrize(
        "form",
        [{"client_assertion_type": None}, {"client_assertion_type": "jwt"}, {"client_assertion": None}],
    )
    def test_half_of_it_is_an_invalid_request(self, registered, present, form):
        refused(present(form=form), "invalid_request", 400)

    def test_a_client_registered_for_secrets_only_is_refused(self, auth_server, present, key):
        auth_server.add_client("ci-bot", secret="s3cret", public_key=key, methods=("client_secret_basic",))
        assert "private_key_jwt" in refused(present())

    def test_an_assertion_for_one_server_is_not_good_at_another(self, registered, key, present, assertion):
        with AuthorizationServer() as other:
            refused(present(assertion(other)))
