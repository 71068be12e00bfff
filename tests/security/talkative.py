"""A whole place to get into, that a test makes indiscreet step by step: issuer, identity provider and resource in one.

with talking() as place:
    place.answers["refresh_token"] = refusal_of_one_value      # this step repeats what it is sent
    ...
    place.may_be_kept, place.handed_on, place.taken()          # every secret that went either way
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager

from integration.odd_servers import speaking
from security.identities import new_assertion, new_secret
from security.indiscreet import answer, form, hanging, headers, resetting
from security.leak_detector import Canary

SCOPES = ["mcp:read"]
FOR_ONE_USE = ("assertion", "subject_token", "code", "code_verifier", "client_assertion")
"""The parameters of a request that are secret, and of no use afterwards."""
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


class Talkative:
    """Answers well, and by `answers` where a step has another one there.

    A step is called by the last word of its grant, else ``"register"``, ``"revoke"``, ``"resource"`` or ``"metadata"``.

    Attributes:
        answers: by step, a function of the request, or one of `hanging` and `resetting`.
        steps: those that were taken, in order.
        may_be_kept: what it issued that has its place in a store: tokens and client secrets.
        handed_on: what it issued to be handed on at once.
        proofs: the DPoP proofs that it has seen.
    """

    def __init__(self):
        self.answers = {}
        self.steps = []
        self.may_be_kept = []
        self.handed_on = []
        self.proofs = []
        self._taken = []
        self.origin = ""

    @property
    def resource(self):
        return f"{self.origin}/mcp"

    def speak(self, connection, request, over):
        step = _step(request)
        self.steps.append(step)
        self.proofs += [proof] if (proof := headers(request).get("dpop")) else []
        self._taken += [value for name, value in form(request).items() if name in FOR_ONE_USE]
        make = self.answers.get(step) or getattr(self, f"_{step.replace('-', '_')}", self._token)
        if make in (hanging, resetting):
            make(connection, request, over)
        else:
            connection.sendall(make(request))

    def taken(self):
        """The secrets for one use that came with requests, proofs among them."""
        return [jwt_canary(value) for value in (*self._taken, *self.proofs)]

    # The good answers.

    def _metadata(self, request):
        if "/oauth-protected-resource" in request.partition(b"\r\n")[0].decode():
            here = {"resource": self.resource, "authorization_servers": [self.origin]}
            return answer(200, {**here, "scopes_supported": SCOPES})
        endpoints = {f"{name}_endpoint": f"{self.origin}/{path}" for name, path in ENDPOINTS.items()}
        more = {"code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True}
        return answer(200, {"issuer": self.origin, **endpoints, **more})

    def _resource(self, request):
        if "authorization" not in headers(request):
            return answer(401, {}, more="WWW-Authenticate: Bearer\r\n")
        return answer(200, {"hello": "you"})

    def _token(self, request):
        refresh, access = self._keepsake(), self._keepsake()
        kind = "DPoP" if "dpop" in headers(request) else "Bearer"
        tokens = {"access_token": access.value, "refresh_token": refresh.value}
        return answer(200, {**tokens, "token_type": kind, "expires_in": 3600})

    def _token_exchange(self, _request):
        self.handed_on.append(grant := new_assertion())
        return answer(200, {"access_token": grant.value, "token_type": "N_A", "issued_token_type": ID_JAG})

    def _register(self, _request):
        self.may_be_kept.append(secret := new_secret())
        client = {"client_id": "registered", "client_secret": secret.value, "client_secret_expires_at": 0}
        return answer(201, {**client, "token_endpoint_auth_method": "client_secret_basic"})

    def _revoke(self, _request):
        return answer(200, {})

    def _keepsake(self):
        self.may_be_kept.append(made := Canary(secrets.token_urlsafe(32)))
        return made


ENDPOINTS = {"authorization": "authorize", "token": "token", "registration": "register", "revocation": "revoke"}


def _step(request):
    path = request.split(b" ", 2)[1].decode()
    if path == "/token":
        return form(request)["grant_type"].rpartition(":")[2]
    if path.startswith("/.well-known/"):
        return "metadata"
    return "resource" if path.startswith("/mcp") else path[1:]


def jwt_canary(text):
    """A secret; of a JWT, the signature is one by itself."""
    return Canary(text, *([text.rpartition(".")[2]] if text.count(".") == 2 else []))


def generated_key(store):
    """The DPoP key that gatepass has made and put into a `FileStore`; None if there is none."""
    for file in store.directory.glob("key.*.record"):
        lines = file.read_bytes().split(b"\n", 2)
        if lines[2]:
            return Canary(json.loads(json.loads(lines[2])["jwk"])["d"])
    return None


@contextmanager
def talking():
    """A `Talkative` for as long as it is needed."""
    place = Talkative()
    with speaking(place.speak) as server:
        place.origin = server.origin
        yield place
