"""`gatepass keys`: what it writes, what it prints, and what it never prints."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import jwt
import key_material
import msgspec
import pytest
from cli.terminal import COLOUR, ESCAPE, on_a_terminal, plain, widest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

import gatepass
from gatepass.keys import parse_private_key
from gatepass.protocol.registration import ClientMetadata
from gatepass.testing import AuthorizationServer, ProtectedServer

PASSWORD = "canary-password"
THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.fixture
def keys(environment, tmp_path):
    """Runs `gatepass keys` in a folder of its own, and sees to it that nothing private is printed."""

    def keys(*arguments, **changes):
        done = subprocess.run(
            [sys.executable, "-m", "gatepass", "keys", *map(str, arguments)],
            env={**environment, "KEY_PASSWORD": PASSWORD, **changes},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            umask=0,
        )
        assert_nothing_private(done.stdout + done.stderr, tmp_path)
        return done

    return keys


def assert_nothing_private(shown, folder):
    """No line of a private key's file that is not public anyway, and no private number in any spelling."""
    assert "PRIVATE KEY" not in shown
    assert "canary" not in shown
    assert "Traceback" not in shown
    for text in [file.read_text() for file in folder.iterdir() if file.is_file()]:
        if '"d":' in text:
            assert json.loads(text)["d"] not in shown
        if "PRIVATE KEY" in text:
            secrets = secrets_of(text)
            assert secrets
            assert [secret for secret in secrets if secret in shown] == []


def secrets_of(pem: str) -> list[str]:
    """The private number of a key, as base64url, base64 and hex; and each line of its file that holds some of it."""
    key = load_pem_private_key(pem.encode(), PASSWORD.encode() if "ENCRYPTED" in pem else None)
    if hasattr(key, "private_bytes_raw"):
        number, public = key.private_bytes_raw(), b""
    else:
        numbers = key.private_numbers()
        value = numbers.d if hasattr(numbers, "d") else numbers.private_value
        number = value.to_bytes((value.bit_length() + 7) // 8)
        public = numbers.public_numbers.n.to_bytes(key.key_size // 8) if hasattr(numbers, "d") else b""
    spellings = [base64.urlsafe_b64encode(number), base64.b64encode(number), number.hex().encode()]
    lines = [line for line in pem.splitlines() if not line.startswith("-----") and len(line) > 16]
    private = [line for line in lines if line not in base64.urlsafe_b64encode(public).decode()]
    return [*private, *(spelling.decode().rstrip("=") for spelling in spellings)]


def private_key(path: Path):
    pem = path.read_bytes()
    return load_pem_private_key(pem, PASSWORD.encode() if b"ENCRYPTED" in pem else None)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def kid_of(jwk) -> str:
    """RFC 7638, by hand."""
    members = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def pair_up(key, jwk, algorithm) -> bool:
    """Whether a JWK is the public half: by somebody else's library."""
    token = jwt.encode({"sub": "x"}, key, algorithm)
    return jwt.decode(token, jwt.PyJWK(jwk, algorithm=algorithm), [algorithm]) == {"sub": "x"}


@pytest.mark.parametrize("command", ["new", "show", "check", "jwks", "rotate", "client-metadata"])
def test_each_teaches_with_an_example(environment, command):
    for columns in (80, 120):
        shown = on_a_terminal(["keys", command, "--help"], environment, columns=columns)
        assert f"$ gatepass keys {command} " in plain(shown)
        assert widest(shown) <= columns


class TestNew:
    @pytest.mark.parametrize(
        ("options", "algorithm", "bits"),
        [
            ([], "ES256", 256),
            (["--algorithm", "ES384"], "ES384", 384),
            (["--algorithm", "es512"], "ES512", 521),
            (["--algorithm", "EdDSA"], "EdDSA", None),
            (["--algorithm", "RS256", "--bits", "2048"], "RS256", 2048),
            (["--algorithm", "PS256"], "PS256", 3072),
        ],
    )
    def test_the_private_half_is_for_its_owner_and_the_public_one_for_stdout(
        self, keys, tmp_path, options, algorithm, bits
    ):
        done = keys("new", "ci-bot.pem", "--format", "jwk", *options)
        assert done.returncode == 0, done.stderr
        file = tmp_path / "ci-bot.pem"
        assert mode(file) == 0o600
        assert file.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")  # PKCS#8
        key, jwk = private_key(file), json.loads(done.stdout)
        assert getattr(key, "key_size", None) == bits
        assert pair_up(key, jwk, algorithm)
        assert (jwk["kid"], jwk["use"]) == (kid_of(jwk), "sig")
        assert jwk.get("alg") == algorithm
        assert not PRIVATE_MEMBERS & jwk.keys()
        assert [path.name for path in tmp_path.iterdir()] == ["ci-bot.pem"]

    def test_the_public_half_is_pem_unless_told_otherwise(self, keys, tmp_path):
        public = load_pem_public_key(keys("new", "ci-bot.pem").stdout.encode())
        assert public == private_key(tmp_path / "ci-bot.pem").public_key()

    def test_a_set_holds_the_jwk(self, keys):
        (jwk,) = json.loads(keys("new", "ci-bot.pem", "--format", "jwks").stdout)["keys"]
        assert jwk["kid"] == kid_of(jwk)

    def test_it_says_what_to_register_and_what_to_do_next(self, keys):
        done = keys("new", "ci-bot.pem", "--format", "jwk", "--private-key-password-env", "KEY_PASSWORD")
        said = done.stderr.splitlines()
        assert "  token_endpoint_auth_method       private_key_jwt" in said
        assert "  token_endpoint_auth_signing_alg  ES256" in said
        assert json.loads(done.stdout)["kid"] in done.stderr
        assert "  gatepass keys check ci-bot.pem --issuer URL --private-key-password-env KEY_PASSWORD" in said
        assert keys("new", "other.pem", "--quiet").stderr == ""

    @pytest.mark.parametrize(
        "options",
        [
            ["--private-key-password-env", "KEY_PASSWORD"],
            ["--private-key-password-file", "password"],
            ["--private-key-password-from", "command:printenv KEY_PASSWORD"],
        ],
    )
    def test_it_is_locked_with_a_password_that_stands_elsewhere(self, keys, tmp_path, options):
        (tmp_path / "password").write_text(PASSWORD + "\n")
        assert keys("new", "ci-bot.pem", *options).returncode == 0
        text = (tmp_path / "ci-bot.pem").read_text()
        assert text.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        assert parse_private_key(text, PASSWORD, origin="it").algorithms == ("ES256",)

    @pytest.mark.parametrize("there", ["a key", "a link to nowhere"])
    def test_what_is_there_is_not_overwritten(self, keys, tmp_path, there):
        file, elsewhere = tmp_path / "ci-bot.pem", tmp_path / "elsewhere.pem"
        if there == "a key":
            file.write_text(key_material.pem("P-256"))
        else:
            file.symlink_to(elsewhere)
        done = keys("new", "ci-bot.pem") if there == "a key" else keys("new", file)
        assert (done.returncode, done.stdout) == (3, "")
        assert "ci-bot.pem is there already. Give another name, or --force" in done.stderr
        assert not elsewhere.exists()
        assert there != "a key" or file.read_text() == key_material.pem("P-256")

    def test_unless_that_is_what_is_wanted(self, keys, tmp_path):
        file = tmp_path / "ci-bot.pem"
        file.write_text(key_material.pem("P-256"))
        file.chmod(0o644)
        public = load_pem_public_key(keys("new", "ci-bot.pem", "--force").stdout.encode())
        assert public == private_key(file).public_key()
        assert mode(file) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["ci-bot.pem"]

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            (["new", "no/such/folder.pem"], 3, "no/such/folder.pem can't be written: No such file or directory."),
            (["new", "no/such/folder.pem", "--force"], 3, "can't be written: No such file or directory."),
            (["new", "a.pem", "--bits", "2048"], 2, "--bits is the size of an RSA key, and ES256 leaves no choice"),
            (["new", "a.pem", "--algorithm", "RS256", "--bits", "1024"], 2, "Invalid value for '--bits'"),
            (["new", "a.pem", "--algorithm", "HS256"], 2, "Invalid value for '--algorithm'"),
            (["new", "a.pem", "--private-key-password-env", "NO_SUCH"], 3, "environment variable NO_SUCH is not set"),
            (["new", "a.pem", "--private-key-password-env", "LONG"], 3, "holds a password of more than 1023 bytes"),
            (
                ["new", "a.pem", "--private-key-password-env", "A", "--private-key-password-file", "B"],
                2,
                "--private-key-password-file and --private-key-password-env all give the password",
            ),
            (["new", "a.pem", "--private-key-password", "canary"], 2, "--private-key-password does not exist"),
        ],
    )
    def test_nothing_is_written_where_something_does_not_fit(self, keys, tmp_path, arguments, code, says):
        done = keys(*arguments, LONG="x" * 1024)
        assert (done.returncode, done.stdout) == (code, "")
        assert says in done.stderr
        assert list(tmp_path.iterdir()) == []


FORMS = {
    "pkcs8": (lambda: key_material.pem("P-256"), "EC on P-256", "256", "ES256", "PKCS#8", "no"),
    "pkcs1": (
        lambda: key_material.pem("RSA", traditional=True),
        "RSA",
        "2048",
        "RS256, PS256, RS384, PS384, RS512, PS512",
        "PKCS#1",
        "no",
    ),
    "sec1": (lambda: key_material.pem("P-384", traditional=True), "EC on P-384", "384", "ES384", "SEC1", "no"),
    "locked": (lambda: key_material.pem("P-521", password=PASSWORD), "EC on P-521", "521", "ES512", "PKCS#8", "yes"),
    "locked of old": (
        lambda: key_material.pem("P-256", password=PASSWORD, traditional=True),
        "EC on P-256",
        "256",
        "ES256",
        "SEC1",
        "yes",
    ),
    "jwk": (lambda: json.dumps(key_material.jwk("Ed25519")), "Ed25519", "256", "EdDSA, Ed25519", "JWK", "no"),
}


class TestShow:
    @pytest.mark.parametrize("form", FORMS)
    def test_each_kind_of_file_is_told_of(self, keys, tmp_path, form):
        text, kind, bits, algorithms, syntax, encrypted = FORMS[form]
        (tmp_path / "key").write_text(text())
        (tmp_path / "key").chmod(0o600)
        done = keys("show", "key", "--private-key-password-env", "KEY_PASSWORD")
        assert (done.returncode, done.stderr) == (0, "")
        facts = dict(line.split("  ", 1) for line in done.stdout.splitlines())
        kid = facts.pop("kid").strip()
        assert {name: value.strip() for name, value in facts.items()} == {
            "file": "key",
            "kind": kind,
            "bits": bits,
            "algorithms": algorithms,
            "format": syntax,
            "encrypted": encrypted,
            "permissions": "0600",
        }
        assert kid == kid_of(json.loads(keys_as_jwk(keys)))

    def test_a_kid_of_its_own_comes_before_the_thumbprint(self, keys, tmp_path):
        (tmp_path / "key").write_text(json.dumps(key_material.jwk("P-256", kid="2026-11", alg="ES256")))
        done = keys("show", "key", "--json")
        shown = json.loads(done.stdout)
        assert (shown["kid"], shown["thumbprint"]) == ("2026-11", kid_of(key_material.jwk("P-256")))
        assert (shown["bits"], shown["algorithms"], shown["encrypted"]) == (256, ["ES256"], False)

    def test_permissions_that_let_others_in_are_told_of(self, keys, tmp_path):
        (tmp_path / "key").write_text(key_material.pem("P-256"))
        (tmp_path / "key").chmod(0o640)
        done = keys("show", "key")
        assert done.returncode == 0
        assert "Others can read key, too (0640). Make it yours alone: chmod 600 key" in done.stderr

    def test_the_public_half_is_printed_in_its_stead_where_that_is_wanted(self, keys, tmp_path):
        (tmp_path / "key").write_text(key_material.pem("P-256"))
        assert keys("show", "key", "--format", "pem").stdout == key_material.public_pem("P-256")

    @pytest.mark.parametrize(
        ("content", "options", "code", "says"),
        [
            (key_material.public_pem("P-256"), [], 3, "a public key, not a private key"),
            (key_material.pem("RSA-1024"), [], 3, "an RSA key of 1024 bits; 2048 are the least"),
            ("canary", [], 3, "neither a JWK nor a whole private key in PEM"),
            (key_material.pem("P-256", password=PASSWORD), [], 3, "The password: --private-key-password-file PATH"),
            (key_material.pem("P-256"), ["--json", "--format", "pem"], 2, "--format and --json contradict each other"),
            (None, [], 3, "the key file can't be read (No such file or directory)"),
        ],
    )
    def test_what_can_not_be_shown_says_why(self, keys, tmp_path, content, options, code, says):
        if content is not None:
            (tmp_path / "key").write_text(content)
        done = keys("show", "key", *options)
        assert (done.returncode, done.stdout) == (code, "")
        assert says in done.stderr


def keys_as_jwk(keys) -> str:
    return keys("show", "key", "--format", "jwk", "--private-key-password-env", "KEY_PASSWORD").stdout


class TestJwks:
    def test_keys_of_every_kind_of_file_are_in_it_once(self, keys, tmp_path):
        files = {
            "private.pem": key_material.pem("P-256"),
            "same.pub.pem": key_material.public_pem("P-256"),
            "locked.pem": key_material.pem("P-384", password=PASSWORD),
            "rsa.pub.pem": key_material.public_pem("RSA"),
            "ed25519.pub.pem": key_material.public_pem("Ed25519"),
            "private.jwk": json.dumps(key_material.jwk("Ed25519", number=1, kid="mine")),
            "public.jwk": json.dumps(key_material.jwk("P-521", public=True, alg="ES512")),
            "set.json": json.dumps({"keys": [key_material.jwk("P-256", public=True, number=n) for n in (1, 2)]}),
        }
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        done = keys("jwks", *files, "--private-key-password-env", "KEY_PASSWORD")
        assert (done.returncode, done.stderr) == (0, "")
        jwks = json.loads(done.stdout)["keys"]
        wanted = [
            *((kind, 0) for kind in ("P-256", "P-384", "RSA", "Ed25519")),
            *(("Ed25519", 1), ("P-521", 0), ("P-256", 1), ("P-256", 2)),
        ]
        for jwk, (kind, number) in zip(jwks, wanted, strict=True):
            public = key_material.jwk(kind, public=True, number=number)
            assert {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}.items() <= public.items()
            assert jwk["kid"] == ("mine" if (kind, number) == ("Ed25519", 1) else kid_of(public))
            assert jwk["use"] == "sig"
            assert not PRIVATE_MEMBERS & jwk.keys()
        assert [jwk.get("alg") for jwk in jwks] == ["ES256", "ES384", None, None, None, "ES512", "ES256", "ES256"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (lambda: key_material.public_pem("RSA-1024"), "an RSA key of 1024 bits"),
            (lambda: key_material.public_pem("secp256k1"), "a key of another kind or on another curve"),
            (lambda: key_material.public_pem("DSA"), "a key of another kind or on another curve"),
            (lambda: key_material.public_pem("P-256").replace("M", "N", 1), "a public key that is damaged"),
            (lambda: json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43}), "a key of another kind"),
            (
                lambda: json.dumps({**key_material.jwk("P-256", public=True), "y": "AAAA"}),
                "a public key that is damaged",
            ),
            (lambda: json.dumps({"kty": "EC", "crv": "P-256", "x": "AAAA"}), "with each of its required members"),
            (lambda: json.dumps(key_material.jwk("RSA-1024", public=True)), "an RSA key of 1024 bits"),
            (lambda: json.dumps({"kty": "oct", "k": "canary"}), "A JWK of type EC, OKP, RSA was expected"),
            (lambda: json.dumps({"kty": "EC", "crv": "Ed25519", "x": "AAAA", "y": "AAAA"}), "that is damaged"),
            (lambda: json.dumps({"kty": "OKP", "crv": "P-256", "x": "AAAA"}), "that is damaged"),
            (lambda: json.dumps({"kty": "RSA", "n": "!", "e": "AQAB"}), "an RSA key of 0 bits"),
            (lambda: json.dumps(key_material.jwk("P-256", public=True, use="enc")), "not for signing. Leave it out."),
            (lambda: json.dumps({"keys": ["canary"]}), "Give the one private key of it that is to sign"),
            (lambda: key_material.certificate("P-256"), "a certificate, not a private key"),
            (lambda: "canary", "neither a JWK nor a whole private key"),
        ],
    )
    def test_what_nobody_could_verify_with_is_not_published(self, keys, tmp_path, content, says):
        (tmp_path / "key").write_text(content())
        done = keys("jwks", "key")
        assert (done.returncode, done.stdout) == (3, "")
        assert says in done.stderr

    def test_two_keys_of_one_kid_could_not_be_told_apart(self, keys, tmp_path):
        for number in (1, 2):
            jwk = key_material.jwk("P-256", public=True, number=number, kid="same")
            (tmp_path / f"{number}.jwk").write_text(json.dumps(jwk))
        done = keys("jwks", "1.jwk", "2.jwk")
        assert (done.returncode, done.stdout) == (3, "")
        assert "Two keys have the kid same" in done.stderr


class Overheard(httpx2.BaseTransport):
    """The network, and the kid of each client assertion that was sent there."""

    def __init__(self):
        self._network = httpx2.HTTPTransport()
        self.kids = []

    def handle_request(self, request):
        form = parse_qs(request.read().decode())
        for assertion in form.get("client_assertion", ()):
            self.kids.append(jwt.get_unverified_header(assertion)["kid"])
        return self._network.handle_request(request)


class TestRotate:
    def test_at_every_step_a_running_program_gets_in_at_a_server_that_read_what_was_published(
        self, keys, tmp_path, authority, url
    ):
        first = json.loads(keys("new", "bot.pem", "--format", "jwks").stdout)["keys"]
        authority.add_client("bot", jwks=first)
        network = Overheard()
        auth = gatepass.Auth(
            url,
            gatepass.ClientCredentials(gatepass.PrivateKeyJwt("bot", tmp_path / "bot.pem", thumbprint_key_id=True)),
            issuer=authority.issuer,
            scopes=["mcp:read"],
            http=gatepass.TokenHttp(transport=network),
        )
        auth.token()
        published = [first]
        for step in ([], ["--finish"], ["--drop-old"]):
            done = keys("rotate", "bot.pem", *step)
            assert done.returncode == 0, done.stderr
            published.append(json.loads(done.stdout)["keys"])
            authority.add_client("bot", jwks=published[-1])
            auth.forget()
            auth.token()
        old, new = first[0]["kid"], published[-1][0]["kid"]
        assert [sorted(jwk["kid"] for jwk in each) for each in published] == [
            [old],
            sorted([old, new]),
            sorted([old, new]),
            [new],
        ]
        assert network.kids == [old, old, new, new]
        assert files_of(tmp_path) == ["bot.pem"]

    def test_whoever_reads_the_file_meanwhile_finds_the_old_key_or_the_new_one_whole(self, keys, tmp_path):
        keys("new", "bot.pem")
        keys("rotate", "bot.pem")
        file = tmp_path / "bot.pem"
        old, new = file.read_text(), (tmp_path / "bot.next.pem").read_text()
        seen, over = set(), threading.Event()

        def read_on():
            while not over.is_set():
                seen.add(file.read_text())

        reader = threading.Thread(target=read_on)
        reader.start()
        try:
            done = keys("rotate", "bot.pem", "--finish")
        finally:
            over.set()
            reader.join()
        assert done.returncode == 0, done.stderr
        assert {old} <= seen <= {old, new}
        assert (file.read_text(), (tmp_path / "bot.old.pem").read_text()) == (new, old)

    def test_each_file_is_for_its_owner_but_who_could_read_the_old_key_can_read_the_new_one(self, keys, tmp_path):
        keys("new", "bot.pem")
        (tmp_path / "bot.pem").chmod(0o640)
        keys("rotate", "bot.pem")
        assert mode(tmp_path / "bot.next.pem") == 0o600
        keys("rotate", "bot.pem", "--finish")
        assert (mode(tmp_path / "bot.pem"), mode(tmp_path / "bot.old.pem")) == (0o640, 0o600)

    def test_the_first_step_can_be_taken_again_and_makes_no_other_key(self, keys, tmp_path):
        keys("new", "bot.pem")
        first, again = keys("rotate", "bot.pem"), keys("rotate", "bot.pem")
        assert (first.returncode, again.returncode) == (0, 0)
        assert first.stdout == again.stdout
        assert "bot.next.pem is there already; no other key was made." in again.stderr

    def test_a_machine_that_stopped_before_the_switch_goes_on_with_it(self, keys, tmp_path):
        keys("new", "bot.pem")
        keys("rotate", "bot.pem")
        old = (tmp_path / "bot.pem").read_bytes()
        (tmp_path / "bot.old.pem").write_bytes(old)
        refused = keys("rotate", "bot.pem", "--drop-old")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "bot.old.pem is a copy of bot.pem, which is still in use" in refused.stderr
        assert keys("rotate", "bot.pem", "--finish").returncode == 0
        assert (tmp_path / "bot.old.pem").read_bytes() == old
        assert files_of(tmp_path) == ["bot.old.pem", "bot.pem"]

    @pytest.mark.parametrize(
        ("kind", "options", "wanted"),
        [
            ("P-384", [], ("EC", 384)),
            ("P-521", [], ("EC", 521)),
            ("Ed25519", [], ("OKP", None)),
            ("RSA", [], ("RSA", 2048)),
            ("RSA", ["--algorithm", "ES256"], ("EC", 256)),
            ("P-256", ["--algorithm", "ps256"], ("RSA", 3072)),
        ],
    )
    def test_the_next_key_is_of_the_same_kind_unless_told_otherwise(self, keys, tmp_path, kind, options, wanted):
        (tmp_path / "bot").write_text(key_material.pem(kind))
        done = keys("rotate", "bot", *options)
        assert done.returncode == 0, done.stderr
        key = private_key(tmp_path / "bot.next")
        assert json.loads(done.stdout)["keys"][0]["kty"] == wanted[0]
        assert getattr(key, "key_size", None) == wanted[1]

    def test_a_locked_key_is_followed_by_one_with_the_same_password(self, keys, tmp_path):
        locked = ["--private-key-password-env", "KEY_PASSWORD"]
        keys("new", "bot.pem", *locked)
        steps = [keys("rotate", "bot.pem", *step, *locked) for step in ([], ["--finish"], ["--drop-old"])]
        assert [done.returncode for done in steps] == [0, 0, 0]
        assert "gatepass keys rotate bot.pem --private-key-password-env KEY_PASSWORD --finish" in steps[0].stderr
        assert private_key(tmp_path / "bot.pem")

    def test_a_link_to_a_key_stays_a_link(self, keys, tmp_path):
        folder = tmp_path / "keys"
        folder.mkdir()
        (tmp_path / "bot.pem").symlink_to(folder / "2026.pem")
        (folder / "2026.pem").write_text(key_material.pem("P-256"))
        assert keys("rotate", "bot.pem").returncode == 0
        assert keys("rotate", "bot.pem", "--finish").returncode == 0
        assert (tmp_path / "bot.pem").readlink() == folder / "2026.pem"
        assert files_of(folder) == ["2026.old.pem", "2026.pem"]

    def test_a_jwk_is_left_to_those_who_gave_it_its_kid(self, keys, tmp_path):
        (tmp_path / "bot.jwk").write_text(json.dumps(key_material.jwk("P-256", kid="2026-11")))
        done = keys("rotate", "bot.jwk")
        assert (done.returncode, done.stdout) == (2, "")
        assert "bot.jwk is a JWK, which has a kid of its own." in done.stderr
        assert files_of(tmp_path) == ["bot.jwk"]

    @pytest.mark.parametrize(
        ("there", "options", "code", "says"),
        [
            ([], ["--finish"], 2, "There is no bot.next.pem: the step before this one makes it."),
            (["old"], ["--finish"], 2, "There is no bot.next.pem: what is left to do is --drop-old."),
            (
                ["next", "old"],
                ["--finish"],
                2,
                "bot.old.pem is another key than bot.pem, left from an earlier rotation",
            ),
            ([], ["--drop-old"], 2, "There is no bot.old.pem: nothing is left to drop."),
            (["old"], [], 2, "bot.old.pem is left from the last rotation."),
            ([], ["--finish", "--drop-old"], 2, "--finish and --drop-old are two steps"),
            (["next"], ["--finish", "--algorithm", "ES256"], 2, "--algorithm goes with the first step"),
            (["broken next"], ["--finish"], 3, "bot.next.pem: neither a JWK nor a whole private key"),
            (["broken next"], [], 3, "bot.next.pem: neither a JWK nor a whole private key"),
        ],
    )
    def test_a_step_out_of_order_changes_nothing(self, keys, tmp_path, there, options, code, says):
        contents = {
            "bot.pem": key_material.pem("P-256"),
            "bot.next.pem": key_material.pem("P-256", number=1),
            "bot.old.pem": key_material.pem("P-256", number=2),
        }
        before = {
            name: contents[name] for name in ["bot.pem", *(f"bot.{each}.pem" for each in there)] if name in contents
        }
        before |= {"bot.next.pem": "-----BEGIN"} if "broken next" in there else {}
        for name, content in before.items():
            (tmp_path / name).write_text(content)
        done = keys("rotate", "bot.pem", *options)
        assert (done.returncode, done.stdout) == (code, "")
        assert says in done.stderr
        assert {name: (tmp_path / name).read_text() for name in files_of(tmp_path)} == before


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def picky():
    with AuthorizationServer(algorithms=("PS256", "ES384")) as server:
        yield server


@pytest.fixture(scope="module")
def old_school():
    with AuthorizationServer(methods=("client_secret_basic",)) as server:
        yield server


class TestCheck:
    def test_a_key_that_fits_is_told_so_and_nothing_of_it_is_sent(self, keys, tmp_path, picky):
        (tmp_path / "key").write_text(key_material.pem("RSA"))
        picky.reset_counters()
        done = keys("check", "key", "--issuer", picky.issuer)
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            f"issuer                 {picky.issuer}",
            "methods offered        client_secret_basic, client_secret_post, private_key_jwt",
            "algorithms offered     PS256, ES384",
            "algorithms of the key  RS256, PS256, RS384, PS384, RS512, PS512",
            "would sign with        PS256",
        ]
        assert "The server takes such keys." in done.stderr
        assert [(request.method, request.form) for request in picky.requests] == [("GET", ())]

    @pytest.mark.parametrize(
        ("kind", "options", "says"),
        [
            ("P-256", [], "does not accept client assertions signed with any that the key signs with (ES256)"),
            ("RSA", ["--algorithm", "RS256"], "does not accept client assertions signed with RS256. It accepts PS256"),
            ("RSA", ["--algorithm", "ES384"], "algorithm is ES384, but the key signs with RS256"),
        ],
    )
    def test_one_that_does_not_is_told_why(self, keys, tmp_path, picky, kind, options, says):
        (tmp_path / "key").write_text(key_material.pem(kind))
        done = keys("check", "key", "--issuer", picky.issuer, *options, "--json")
        assert done.returncode == 3
        found = json.loads(done.stdout)
        assert (found["algorithms_offered"], found["would_sign_with"]) == (["PS256", "ES384"], None)
        assert says in done.stderr

    def test_a_server_that_takes_no_keys_is_told_apart(self, keys, tmp_path, old_school):
        (tmp_path / "key").write_text(key_material.pem("P-256"))
        done = keys("check", "key", "--issuer", old_school.issuer)
        assert done.returncode == 3
        assert "does not offer the client authentication private_key_jwt. It offers client_secret_basic" in done.stderr
        assert "algorithms offered     the server does not say" in done.stdout

    def test_a_name_stands_for_the_server_that_is_configured(self, keys, tmp_path, picky, old_school):
        (tmp_path / "key").write_text(key_material.pem("P-384"))
        with ProtectedServer(picky) as mcp_server:
            (tmp_path / "gatepass.toml").write_text(
                f'[servers.open]\nurl = "{mcp_server.url}"\n'
                f'[servers.pinned]\nurl = "{mcp_server.url}"\nissuer = "{old_school.issuer}"\n'
            )
            there = {"GATEPASS_CONFIG": str(tmp_path / "gatepass.toml"), "GATEPASS_ISSUER": ""}
            discovered = keys("check", "key", "--issuer", "open", "--json", **there)
            pinned = keys("check", "key", "--issuer", "pinned", "--json", **there)
            unknown = keys("check", "key", "--issuer", "close", **there)
        assert (discovered.returncode, json.loads(discovered.stdout)["issuer"]) == (0, picky.issuer)
        assert json.loads(discovered.stdout)["would_sign_with"] == "ES384"
        assert (pinned.returncode, json.loads(pinned.stdout)["issuer"]) == (3, old_school.issuer)
        assert (unknown.returncode, unknown.stdout) == (3, "")

    @pytest.mark.parametrize(
        ("issuer", "code", "says"),
        [
            ("", 2, "Which authorization server? Give --issuer URL"),
            ("http://127.0.0.1:9", 6, "127.0.0.1:9 can't be reached"),
            ("https://a b", 3, "--issuer holds a space"),
        ],
    )
    def test_without_a_server_there_is_nothing_to_compare_with(self, keys, tmp_path, issuer, code, says):
        (tmp_path / "key").write_text(key_material.pem("P-256"))
        done = keys("check", "key", *(["--issuer", issuer] if issuer else []), GATEPASS_ISSUER="")
        assert (done.returncode, done.stdout) == (code, "")
        assert says in done.stderr


SIGN_IN = "http://127.0.0.1/callback"


class TestClientMetadata:
    """draft-ietf-oauth-client-id-metadata-document §3 and §4.1; MCP 2026-07-28, Client Registration."""

    URL = "https://example.com/ci-bot.json"

    def test_a_program_with_a_key_gets_in_by_what_the_document_says(self, keys, tmp_path, gatepass_at, authority, url):
        keys("new", "bot.pem")
        done = keys("client-metadata", self.URL, "--name", "The report", "--key", "bot.pem", "--scopes", "mcp:read")
        document = json.loads(done.stdout)
        assert_proper(document, self.URL)
        assert document["grant_types"] == ["client_credentials"]
        assert document["token_endpoint_auth_method"] == "private_key_jwt"
        assert document["token_endpoint_auth_signing_alg"] == "ES256"
        authority.add_client_metadata(self.URL, document)
        got = gatepass_at("token", url, "--client-id", self.URL, "--private-key-file", tmp_path / "bot.pem")
        assert (got.returncode, got.stderr) == (0, "")
        assert authority.verify(got.stdout.strip(), audience=url).client_id == self.URL

    def test_people_sign_in_with_what_the_document_says(self, keys, mcp_server):
        done = keys("client-metadata", self.URL, "--name", "The report", "--redirect-uri", SIGN_IN)
        document = json.loads(done.stdout)
        assert_proper(document, self.URL)
        assert msgspec.convert(document, ClientMetadata) == ClientMetadata(
            client_name="The report",
            redirect_uris=(SIGN_IN,),
            token_endpoint_auth_method="none",
            application_type="native",
            grant_types=("authorization_code", "refresh_token"),
            response_types=("code",),
        )
        with AuthorizationServer(authorization_endpoint=True) as server, ProtectedServer(server) as resource:
            server.add_client_metadata(self.URL, document)
            way_in = gatepass.AuthorizationCode(
                client_metadata_url=self.URL, ask=lambda url: httpx2.get(url).headers["Location"]
            )
            token = gatepass.Auth(resource.url, way_in, issuer=server.issuer).token()
            assert server.verify(token, audience=resource.url).client_id == self.URL

    def test_keys_may_stand_elsewhere(self, keys):
        elsewhere = "https://example.com/jwks.json"
        done = keys("client-metadata", self.URL, "--name", "x", "--jwks-uri", elsewhere)
        document = json.loads(done.stdout)
        assert_proper(document, self.URL)
        assert (document["jwks_uri"], "jwks" in document) == (elsewhere, False)
        assert "token_endpoint_auth_signing_alg" not in document

    def test_a_web_site_is_told_from_an_app(self, keys):
        site = keys("client-metadata", self.URL, "--name", "x", "--redirect-uri", "https://example.com/back")
        app = keys("client-metadata", self.URL, "--name", "x", "--redirect-uri", "com.example.app:/back")
        assert json.loads(site.stdout)["application_type"] == "web"
        assert json.loads(app.stdout)["application_type"] == "native"

    def test_a_document_that_servers_need_not_read_to_its_end_is_warned_of(self, keys, tmp_path):
        for number in range(16):
            (tmp_path / f"{number}.jwk").write_text(json.dumps(key_material.jwk("RSA", public=True, kid=f"k{number}")))
        many = [option for number in range(16) for option in ("--key", f"{number}.jwk")]
        assert "servers read 5120 at the most" in keys("client-metadata", self.URL, "--name", "x", *many).stderr
        assert "5120" not in keys("client-metadata", self.URL, "--name", "x", *many[:16]).stderr

    @pytest.mark.parametrize(
        "url",
        [
            "http://example.com/client.json",
            "https://example.com",
            "https://example.com/",
            "https://user@example.com/client.json",
            "https://example.com/a/../client.json",
            "https://example.com/client.json#me",
        ],
    )
    def test_an_address_that_is_no_client_id_is_refused_as_the_library_does(self, keys, url):
        with pytest.raises(gatepass.ConfigurationError):
            gatepass.AuthorizationCode(client_metadata_url=url)
        done = keys("client-metadata", url, "--name", "x", "--redirect-uri", SIGN_IN)
        assert (done.returncode, done.stdout) == (2, "")
        assert "URL must be https, with a path" in done.stderr

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ([], "What proves the client? Give --key FILE or --jwks-uri URL."),
            (["--key", "k", "--jwks-uri", "https://example.com/jwks.json"], "--key and --jwks-uri both say which keys"),
            (["--jwks-uri", "http://example.com/jwks.json"], "--jwks-uri must be an https URL"),
            (["--redirect-uri", "http://example.com/back"], "must be https, or http on loopback"),
            (["--redirect-uri", "https://example.com/back#x"], "and have no fragment"),
            (["--redirect-uri", "callback"], "must be https, or http on loopback"),
        ],
    )
    def test_what_a_server_would_refuse_is_not_written(self, keys, options, says):
        done = keys("client-metadata", self.URL, "--name", "x", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr


def assert_proper(document, url):
    """What the draft (§4, §4.1) and MCP demand of every document, and what they forbid in it."""
    assert document["client_id"] == url
    assert isinstance(document["client_name"], str)
    assert isinstance(document["redirect_uris"], list)
    assert document["token_endpoint_auth_method"] in ("private_key_jwt", "none")
    assert not {"client_secret", "client_secret_expires_at"} & document.keys()
    assert not ({"jwks", "jwks_uri"} <= document.keys())  # RFC 7591 §2
    for jwk in document.get("jwks", {}).get("keys", ()):
        assert not PRIVATE_MEMBERS & jwk.keys()


@pytest.fixture
def gatepass_at(environment, tmp_path):
    """Runs the command with an identity from options alone."""

    def gatepass_at(*arguments):
        own = {name: value for name, value in environment.items() if not name.startswith("GATEPASS_CLIENT")}
        command = [sys.executable, "-m", "gatepass", *map(str, arguments)]
        return subprocess.run(command, env=own, capture_output=True, text=True, timeout=60, check=False)

    return gatepass_at


@pytest.mark.parametrize("columns", [80, 120])
class TestOnATerminal:
    @pytest.fixture
    def key(self, tmp_path):
        file = tmp_path / "key.pem"
        file.write_text(key_material.pem("RSA"))
        file.chmod(0o600)
        return file

    def test_names_stand_before_what_they_are_in_colour(self, key, environment, columns):
        shown = on_a_terminal(["keys", "show", key], environment, columns=columns)
        assert COLOUR.search(shown)
        assert_facts(plain(shown), columns)

    def test_no_color_and_dumb_terminals_are_respected(self, key, environment, columns):
        shown = on_a_terminal(["keys", "show", key], {**environment, "NO_COLOR": "1"}, columns=columns)
        assert COLOUR.search(shown) is None
        assert_facts(plain(shown), columns)
        shown = on_a_terminal(["keys", "show", key], environment, columns=columns, term="dumb")
        assert ESCAPE.search(shown) is None
        assert_facts(shown, columns)


def assert_facts(shown, columns):
    lines = shown.splitlines()
    begins = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert list(begins) == ["file", "kind", "bits", "algorithms", "kid", "format", "encrypted", "permissions"]
    assert {
        begins[name].index(value) for name, value in {"kind": "RSA", "bits": "2048", "encrypted": "no"}.items()
    } == {13}
    assert widest(shown) <= columns


DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["keys.md", "publishing.md"])
def test_the_commands_of_the_docs_run_in_their_order(page, environment, tmp_path, authority):
    text = (DOCS / page).read_text().replace("https://auth.example.com", authority.issuer)
    blocks = re.findall(r"^```console\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ gatepass keys ")]
    assert commands
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "gatepass").write_text(f'#!/bin/sh\nexec {sys.executable} -m gatepass "$@"\n')
    (bin_folder / "gatepass").chmod(0o700)
    surroundings = {**environment, "PATH": f"{bin_folder}:{environment['PATH']}", "CI_BOT_PASSWORD": PASSWORD}
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert_nothing_private(done.stdout + done.stderr, tmp_path)
    for document in re.findall(r"^```json\n(.+?)^```$", text, re.MULTILINE | re.DOTALL):
        shown = json.loads(document)
        written = tmp_path / Path(shown["client_id"]).name
        assert json.loads(written.read_text()) == shown
