"""A canary in every secret of every way in, through every step of it: nobody hears it, and it stands where it may."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlsplit

import anyio
import httpx2
import key_material
import pytest
from security.identities import CLIENT_ID, new_secret
from security.indiscreet import (
    ANSWERS,
    answer,
    broken_json,
    hanging,
    headers,
    refusal,
    refusal_by_the_resource,
    refusal_in_headers,
    refusal_of_the_grant,
    resetting,
)
from security.leak_detector import Canary, Witness
from security.program import CLEAN, error_of, show, tries_once
from security.talkative import generated_key, talking
from security.ways import (
    BINDINGS,
    LATER,
    WAYS,
    Person,
    Way,
    by_an_id_token,
    from_a_pod_with_a_client,
    key_file,
    key_text,
    known_by_a_key,
    machine,
    made_here,
    nothing,
    unknown_before,
)

import gatepass
from gatepass.core.world import Notice
from gatepass.testing import AuthorizationServer, Certificates, ProtectedServer

REPEATING = (refusal, refusal_of_the_grant, refusal_in_headers)
EVERY_ANSWER = (*ANSWERS, hanging, resetting)
OWNER_ONLY = 0o600


def _cases():
    """Way, binding, step, answer: every step of every way; every answer where it is read by code of its own."""
    for way, steps in WAYS.items():
        yield from ((way, nothing, step, bad) for step in steps for bad in REPEATING)
    for way, step in ((from_a_pod_with_a_client, "jwt-bearer"), (unknown_before, "register"), (machine, "revoke")):
        yield from ((way, nothing, step, bad) for bad in EVERY_ANSWER)
    for way in (by_an_id_token, known_by_a_key, unknown_before):
        yield from ((way, nothing, step, bad) for step in LATER for bad in (*REPEATING, broken_json))
    yield unknown_before, nothing, "refresh_token", hanging
    for binding in BINDINGS:
        for way, step in ((machine, "client_credentials"), (machine, "refresh_token"), (unknown_before, "revoke")):
            yield from ((way, binding, step, bad) for bad in REPEATING)


CASES = {"-".join(getattr(part, "__name__", part) for part in case): case for case in _cases()}


class Visit:
    """One program on one way in, with a store, and a witness of all that it does."""

    def __init__(self, make, binding, place, given, around, environment):
        self.way = make(place, given, environment)
        options, self._keys = binding(given)
        self.place = place
        self.store = gatepass.FileStore(around / "store")
        self.witness = Witness()
        self.http = gatepass.TokenHttp(timeout_s=5)
        self.auth = tries_once(
            gatepass.Auth(
                place.resource, self.way.profile, issuer=place.origin, http=self.http, store=self.store, **options
            )
        )
        self.codes = []
        self._made = []

    def attempt(self, action):
        """What comes of it; what goes wrong is shown to the witness, and what was made is remembered."""
        came = None
        try:
            came = action()
        except gatepass.GatepassError as error:
            self.witness.error(error)
            self.witness.thing(error)
            self.codes.append(error.code)
        made = generated_key(self.store)
        self._made += [made] if made else []
        return came

    @property
    def kept(self):
        """The secrets that may stand in the store."""
        return [*self.place.may_be_kept, *self._made]

    @property
    def others(self):
        """The secrets that may stand nowhere."""
        return [*self.way.canaries, *self._keys, *self.place.handed_on, *self.place.taken()]

    def check(self, around, printed):
        """Nothing was heard; and in the store there is what belongs there, with its owner alone, under plain names."""
        witness = self.witness
        witness.files(around, but=self.store.directory)
        witness.names(around)
        witness.text("what was printed", printed())
        witness.watch(*self.kept, *self.others)
        assert witness.words > 20
        assert witness.leaks() == CLEAN
        assert self.standing(self.others) == CLEAN
        files = list(self.store.directory.iterdir())
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} <= {OWNER_ONLY}
        assert [file.name for file in files if file.suffix not in {".record", ".lock"}] == []

    def standing(self, canaries):
        """In which files of the store some of these stand."""
        inside = Witness(canaries)
        inside.files(self.store.directory)
        return inside.leaks()


@pytest.fixture
def visits(given, around, monkeypatch, printed):
    """Makes visits to a place."""
    with talking() as place:
        yield lambda make, binding=nothing: Visit(make, binding, place, given, around, monkeypatch)


@pytest.mark.parametrize(("make", "binding", "step", "bad"), CASES.values(), ids=CASES)
def test_no_step_of_a_way_in_says_what_it_was_told(make, binding, step, bad, visits, around, printed):
    visit = visits(make, binding)
    auth, place = visit.auth, visit.place
    with visit.witness:
        token = visit.attempt(auth.token) if step in LATER else None
        place.answers[step] = bad
        visit.http._timeout_s = 0.1 if bad is hanging else 5
        if step == "refresh_token":
            auth.rejected(token)
        actions = (auth.forget, auth.aforget) if step == "revoke" else (auth.token, auth.atoken)
        visit.attempt(actions[0])
        visit.attempt(lambda: asyncio.run(actions[1]()))
        show(visit.witness, auth)
    assert step in place.steps
    assert not {"internal", "error"} & set(visit.codes)
    visit.check(around, printed)


@pytest.mark.parametrize(
    ("make", "binding"),
    [
        *((make, nothing) for make in WAYS),
        *((make, binding) for make in (machine, unknown_before) for binding in BINDINGS),
    ],
)
def test_what_may_be_kept_stands_in_the_store_and_goes_when_it_is_forgotten(make, binding, visits, around, printed):
    visit = visits(make, binding)
    auth, place = visit.auth, visit.place
    with visit.witness as witness:
        first = visit.attempt(auth.token)
        auth.rejected(first)
        assert visit.attempt(lambda: asyncio.run(auth.atoken())) not in {None, first}
        visit.attempt(lambda: auth.headers("GET", place.resource))
        held = auth._source.held
        show(witness, auth, visit.store, held.record, *([held.proof_key] if held.proof_key else []))
        newest = [canary for canary in place.may_be_kept if canary.value in {auth.token(), held.record.refresh_token}]
        assert len(newest) == 2
        assert all(visit.standing([canary]) for canary in [*newest, *visit._made])
        assert len(visit._made) > 0 or binding is not made_here
        assert visit.attempt(auth.forget) is True
    assert place.steps[-2:] == ["revoke", "revoke"]
    witness.ignore("dumps of TokenRecord")  # it is nobody's but ours
    visit.check(around, printed)
    registered = place.may_be_kept[: place.steps.count("register")]
    gone = [canary for canary in visit.kept if canary not in registered]
    assert visit.standing(gone) == CLEAN
    assert all(visit.standing([canary]) for canary in registered), "the client stays known"


ASTRAY = {
    "another state": lambda url: url.replace("state=", "state=x"),
    "no state": lambda url: url.replace("state=", "stat="),
    "another issuer": lambda url: url.replace("iss=http", "iss=https"),
    "no code": lambda url: url.replace("code=", "cod="),
    "the code twice": lambda url: f"{url}&{urlsplit(url).query.partition('&')[0]}",
    "too much": lambda url: url + "&a=b" * 1000,
    "a refusal with a code": lambda url: f"{url}&error=access_denied&error_description=no",
    "no text": lambda url: [url],
    "bytes": lambda url: url.encode(),
    "no URL": lambda url: f"http://[{url}",
}
"""How a person, or whoever sends them, may come back wrongly."""


@pytest.mark.parametrize("how", ASTRAY)
def test_a_person_who_comes_back_wrongly_is_not_quoted(how, visits, around, printed):
    person = Person(ASTRAY[how])
    way = gatepass.AuthorizationCode("desk", ask=person, subject="alice", timeout_s=0.05)
    visit = visits(lambda *_: Way(way, person=person), lambda _given: ({"deadline_s": 10}, ()))
    with visit.witness:
        assert visit.attempt(visit.auth.token) is None
        assert visit.attempt(lambda: asyncio.run(visit.auth.atoken())) is None
        show(visit.witness, visit.auth)
    assert "authorization_code" not in visit.place.steps
    assert not {"internal", "error"} & set(visit.codes)
    visit.check(around, printed)


@pytest.mark.parametrize("problem", [ValueError, SystemExit, asyncio.CancelledError])
def test_an_ask_that_fails_with_the_answer_in_its_mouth(problem, visits, around, printed):
    def fail(url):
        raise problem(url)

    person = Person(fail)
    visit = visits(lambda *_: Way(gatepass.AuthorizationCode("desk", ask=person, subject="alice"), person=person))
    with visit.witness:
        assert visit.attempt(visit.auth.token) is None
    assert visit.codes == ["ask_failed"]
    visit.check(around, printed)


def test_the_url_of_a_sign_in_that_is_required_shows_state_and_no_other_secret(visits, around, monkeypatch, printed):
    monkeypatch.setenv("CI", "true")
    visit = visits(lambda *_: Way(gatepass.AuthorizationCode(subject="alice")), key_text)
    drawn = []
    draw = visit.auth._source.world.random_bytes
    visit.auth._source.world.random_bytes = lambda n: drawn.append(draw(n)) or drawn[-1]
    with visit.witness as witness:
        error = error_of(visit.auth.token)
        witness.error(error)
        witness.thing(error)
        show(witness, visit.auth)
    asked = httpx2.URL(error.url).params
    of_32 = [urlsafe_b64encode(octets).decode().rstrip("=") for octets in drawn if len(octets) == 32]
    state, verifier = of_32[-2:]
    assert asked["state"] == state
    assert asked["code_challenge"] == urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert set(asked) == {
        "response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "dpop_jkt",
        "scope", "resource",
    }  # fmt: skip
    witness.watch(Canary(verifier))
    visit.check(around, printed)
    witness.watch(Canary(state))
    assert witness.leaks(), "state is where it belongs"
    assert not [where for where in witness.leaks() if where.startswith("the log of")]


@pytest.mark.parametrize("make", [machine, by_an_id_token, unknown_before])
@pytest.mark.parametrize("binding", [nothing, made_here])
def test_a_resource_that_repeats_what_it_was_sent(make, binding, visits, around, printed):
    visit = visits(make, binding)
    place, auth = visit.place, visit.auth
    with visit.witness as witness:
        place.answers["resource"] = refusal_by_the_resource
        with gatepass.AuthorizedClient(auth, verify=False) as http:
            said = http.get(place.resource)
        assert said.status_code == 401
        assert auth.token() in said.text
        visit.attempt(lambda: anyio.run(_connected, auth))
        place.answers.clear()
        with gatepass.AuthorizedClient(auth, verify=False) as http:
            assert http.get(place.resource).status_code == 200
        auth.forget()
    # What the client's own transport logs of an answer is the client's: its headers, at the level DEBUG.
    witness.ignore("the log of httpcore2")
    assert visit.codes == ["refused_by_resource"]
    visit.check(around, printed)
    assert visit.standing(visit.kept[place.steps.count("register") :]) == CLEAN


async def _connected(auth):
    async with gatepass.connect(auth, http_options={"verify": False}):
        pytest.fail("nobody gets in")


def test_no_proof_is_used_twice(visits, around, printed):
    visit = visits(unknown_before, key_file)
    place, auth = visit.place, visit.auth
    nonces = iter(range(1, 100))

    def wants_a_nonce(request):
        claims = _claims(headers(request)["dpop"])
        more = f"DPoP-Nonce: nonce-{next(nonces)}\r\n"
        if "nonce" not in claims:
            return answer(400, {"error": "use_dpop_nonce"}, more=more)
        return place._token(request)

    place.answers |= {"authorization_code": wants_a_nonce, "refresh_token": wants_a_nonce}
    with visit.witness, gatepass.AuthorizedClient(auth, verify=False) as http:
        for _ in range(3):
            assert http.get(place.resource).status_code == 200
        auth.rejected(auth.token())
        assert http.get(place.resource).status_code == 200
        place.answers["resource"] = resetting
        for _ in range(2):
            with pytest.raises(httpx2.TransportError):
                http.get(place.resource)
        place.answers["resource"] = None
        for method in ("GET", "POST"):
            place.proofs.append(auth.headers(method, place.resource)["DPoP"])
        auth.forget()
    proofs = [_claims(proof) for proof in place.proofs]
    assert len(proofs) >= 10
    assert len({claims["jti"] for claims in proofs}) == len(proofs)
    assert len(set(place.proofs)) == len(proofs)
    visit.check(around, printed)


def _claims(proof):
    return json.loads(urlsafe_b64decode(proof.split(".")[1] + "=="))


KILLED = """
import os, signal, sys
from pathlib import Path
import gatepass

directory, issuer, step = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def with_the_token(make):
    def then(self, name, value, **options):
        if name.startswith("token."):
            setattr(*{"before the sync": (os, "fsync", die), "before it is there": (Path, "replace", die)}[step])
        return make(self, name, value, **options)
    return then

gatepass.FileStore.write = with_the_token(gatepass.FileStore.write)
profile = gatepass.ClientCredentials(gatepass.ClientSecret("ci-bot", gatepass.Secret.env("CI_BOT_SECRET")))
gatepass.Auth(f"{issuer}/mcp", profile, issuer=issuer, store=gatepass.FileStore(directory)).token()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("step", ["before the sync", "before it is there"])
def test_what_a_killed_process_leaves_is_its_owners_alone_and_is_swept_away(step, tmp_path):
    secret, directory = new_secret(), tmp_path / "store"
    with talking() as place:
        told = {**os.environ, "CI_BOT_SECRET": secret.value}
        command = [sys.executable, "-c", KILLED, str(directory), place.origin, step]
        assert subprocess.run(command, env=told, check=False, timeout=60).returncode == -signal.SIGKILL
    left = list(directory.glob("*.tmp"))
    assert len(left) == 1
    assert stat.S_IMODE(left[0].stat().st_mode) == OWNER_ONLY
    everything = Witness([secret, *place.may_be_kept])
    everything.names(directory)
    assert everything.leaks() == CLEAN
    later = left[0].stat().st_mtime + 3700
    gatepass.FileStore(directory, clock=lambda: later).write("another", b"", expect=0)
    everything.files(directory)
    assert everything.words > 2
    assert everything.leaks() == CLEAN


CERTIFICATES = {
    "none": lambda pem: pem,
    "a key that is none": lambda pem: pem.replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\nAAAA"),
    "a key without its end": lambda pem: pem.rpartition("-----END")[0],
    "a key and no certificate": lambda pem: pem[pem.index("-----BEGIN PRIVATE") :],
    "another key": lambda pem: pem[: pem.index("-----BEGIN PRIVATE")] + key_material.pem("P-256"),
    "an unknown client": lambda pem: pem,
}
"""What may stand in a file of certificate and key."""


class TestCertificates:
    """A key that stands beside a certificate is read by OpenSSL, and by nobody else."""

    @pytest.fixture
    def certificates(self, tmp_path):
        return Certificates(tmp_path)

    @pytest.fixture
    def mcp_server(self, certificates):
        tls = certificates.tls("requested")
        with AuthorizationServer(tls=tls, methods=("tls_client_auth",), revocation=True) as server:
            server.add_client(CLIENT_ID, certificate_subject=f"CN={CLIENT_ID}")
            with ProtectedServer(server, tls=tls) as resource:
                yield resource

    @pytest.mark.parametrize("trouble", CERTIFICATES)
    def test_its_key_is_not_shown(self, trouble, mcp_server, certificates, around, printed):
        name = "somebody" if trouble == "an unknown client" else CLIENT_ID
        pem = CERTIFICATES[trouble](certificates.client(name).read_text())
        (certificates.ca.parent / "current.pem").write_text(pem)
        key = Canary(pem, *pem[pem.index("-----BEGIN PRIVATE") :].splitlines()[1:-1][:2])
        http = gatepass.TokenHttp(cert=certificates.ca.parent / "current.pem", verify=certificates.ca, timeout_s=5)
        profile = gatepass.ClientCredentials(gatepass.TlsClient(CLIENT_ID))
        store, issuer = gatepass.FileStore(around / "store"), mcp_server.authorization_server.issuer
        with Witness([key]) as witness:
            auth = tries_once(gatepass.Auth(mcp_server.url, profile, issuer=issuer, http=http, store=store))
            if trouble == "none":
                with gatepass.AuthorizedClient(auth) as client:
                    assert client.get("plain/hello").status_code == 200
                assert auth.forget()
            else:
                witness.error(error_of(auth.token))
            for thing in (auth, http, profile, store, auth.for_httpx()):
                witness.thing(thing)
        witness.files(around)
        witness.text("what was printed", printed())
        assert witness.words > 20
        assert witness.leaks() == CLEAN


LEAKS = {
    "a server's words as they are": ("gatepass.protocol.token._words", lambda said, _masked: said),
    "the log of the wire": ("gatepass.engine.token_http._Quiet.on", property(lambda _self: False, lambda *_: None)),
    "a record that shows itself": ("gatepass.lifecycle.record.TokenRecord.__repr__", lambda self: self.access_token),
    "a secret that shows itself": ("gatepass.core.secret.Secret.__repr__", lambda self: self.reveal()),
    "a notice of what was issued": (
        "gatepass.engine.flight.token_obtained",
        lambda record, **_: Notice(code="token_obtained", text=f"{record}{record.refresh_token}"),
    ),
}
"""What gatepass would have to do wrong, in one place each."""


@pytest.mark.parametrize("leak", LEAKS)
def test_one_mistake_in_gatepass_would_be_heard(leak, visits, around, monkeypatch, printed):
    monkeypatch.setattr(*LEAKS[leak])
    visit = visits(by_an_id_token)
    with visit.witness as witness:
        first = visit.attempt(visit.auth.token)
        visit.place.answers |= {"refresh_token": refusal_of_the_grant, "jwt-bearer": refusal_in_headers}
        visit.auth.rejected(first)
        visit.attempt(visit.auth.token)
        witness.thing(visit.auth._source.held)
        for secret in visit.way.profile.secrets:
            witness.thing(secret)
    witness.ignore("dumps of")
    with pytest.raises(AssertionError):
        visit.check(around, printed)
    assert witness.leaks()
