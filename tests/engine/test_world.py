"""The real world: secrets where they stand, callables and signers of the user's, and what is said aloud."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from canary import assert_hidden
from key_material import pem
from scripts import succeeds

from gatepass import references
from gatepass.core.http import HttpRequest
from gatepass.core.secret import Secret
from gatepass.core.target import Target
from gatepass.core.world import Contact, Notice, PrivateKey
from gatepass.engine import world as world_module
from gatepass.engine.shelf import Shelf
from gatepass.engine.token_http import TokenHttp
from gatepass.engine.world import RealWorld
from gatepass.errors import ConfigurationError, RemoteError, SignInRequiredError
from gatepass.protocol.registration import Registration
from gatepass.signers.key_ring import KeyRing
from gatepass.stores.memory import MemoryStore

CANARY = "c4n4ry"
HALVES = f"{CANARY[:3]!r} + {CANARY[3:]!r}"
"""The canary in a program, which itself is no secret."""
posix = pytest.mark.skipif(sys.platform == "win32", reason="no such files or signals there")


def real_world(transport: httpx2.BaseTransport | None = None) -> RealWorld:
    return RealWorld(TokenHttp(transport=transport), KeyRing())


def refused(step: Callable[[], object]) -> ConfigurationError:
    """What a step fails with; no secret shows in its text or in our frames."""
    with pytest.raises(ConfigurationError) as failure:
        step()
    assert_hidden(failure.value, CANARY)
    assert failure.value.__context__ is None
    return failure.value


def python(program: str) -> Secret:
    return Secret.command([sys.executable, "-c", program])


# Clocks, dice, network.


def test_the_clocks_are_those_of_the_system() -> None:
    before = (time.time(), time.monotonic())
    now = real_world().now()
    assert before[0] <= now.wall <= time.time()
    assert before[1] <= now.mono <= time.monotonic()


def test_random_bytes_are_as_many_as_asked_for_and_never_the_same() -> None:
    world = real_world()
    assert [len(world.random_bytes(n)) for n in (0, 1, 16, 64)] == [0, 1, 16, 64]
    assert len({world.random_bytes(16) for _ in range(100)}) == 100


def test_requests_go_through_the_token_client() -> None:
    world = real_world(httpx2.MockTransport(lambda request: httpx2.Response(200, content=request.content)))
    assert world.send(HttpRequest(method="POST", url="http://as.example.com/", body=b"a=1")).body == b"a=1"


# Where secrets stand.


def env(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secret:
    monkeypatch.setenv("SOME_SECRET", text)
    return Secret.env("SOME_SECRET")


def file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secret:
    path = tmp_path / "secret"
    path.write_bytes(text.encode())
    return Secret.file(path)


def command(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secret:
    return python(f"import os; os.write(1, {text.encode()!r})")


everywhere = pytest.mark.parametrize("put", [env, file, command])
Put = Callable[[str, Path, pytest.MonkeyPatch], Secret]


@everywhere
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("abc", "abc"),
        ("abc\n", "abc"),
        ("abc\r\n", "abc"),
        ("abc\n\n", "abc\n"),
        (" a b ", " a b "),
        ("a\nb\n", "a\nb"),
        ("päß€🔑", "päß€🔑"),
        ("\ufeffabc", "abc"),
    ],
    ids=ascii,
)
def test_a_secret_is_read_without_its_last_line_break(
    put: Put, text: str, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert real_world().reveal(put(text, tmp_path, monkeypatch)) == secret


@everywhere
@pytest.mark.parametrize("text", ["", "\n", "\r\n"], ids=ascii)
def test_an_empty_secret_is_an_error_that_says_where(
    put: Put, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = put(text, tmp_path, monkeypatch)
    failure = refused(lambda: real_world().reveal(secret))
    assert (failure.code, str(failure)) == ("secret_empty", f"The {secret.reference} gives an empty secret.")


def test_a_literal_secret_is_revealed_as_it_is() -> None:
    assert real_world().reveal(Secret("abc\n")) == "abc\n"


def test_a_variable_that_is_not_set() -> None:
    failure = refused(lambda: real_world().reveal(Secret.env("NOT_SET")))
    assert (failure.code, str(failure)) == ("secret_missing", "The environment variable NOT_SET is not set.")


@posix
def test_a_variable_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", os.fsdecode(b"\xff" + CANARY.encode()))
    failure = refused(lambda: real_world().reveal(Secret.env("SOME_SECRET")))
    assert failure.code == "secret_invalid"
    assert "SOME_SECRET is not UTF-8 text" in str(failure)


def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (missing, "No such file or directory"),
        (directory, "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe" + CANARY.encode("utf-16-le")), "it is not UTF-8 text"),
        (lambda path: path.write_bytes(CANARY.encode() * 200_000), "it is larger than 1048576 bytes"),
        (lambda path: path.write_bytes("é".encode() * 524_289), "it is larger than 1048576 bytes"),
    ],
    ids=["missing", "directory", "UTF-16", "huge", "huge, cut within a character"],
)
def test_a_file_that_can_not_be_read(change: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch()
    change(path)
    failure = refused(lambda: real_world().reveal(Secret.file(path)))
    assert failure.code == "file_unreadable"
    assert str(failure) == f"The file {path} can't be read: {reason}. Check the path and its permissions."


def test_a_file_of_the_greatest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * 1024 * 1024)
    assert len(real_world().reveal(Secret.file(path))) == 1024 * 1024


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="/dev/zero has no end everywhere, but it is sure to be here")
def test_a_file_without_end_is_not_read_to_its_end() -> None:
    assert "larger than" in str(refused(lambda: real_world().reveal(Secret.file("/dev/zero"))))


def test_what_is_no_path_is_a_file_that_can_not_be_read() -> None:
    assert refused(lambda: real_world().reveal(Secret.file("a\0b"))).code == "file_unreadable"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"print({HALVES}); raise SystemExit(3)", "it ended with exit code 3"),
        (f"import os; os.write(1, b'\\xff' + ({HALVES}).encode())", "its output is not UTF-8 text"),
        (f"while True: print({HALVES})", "it printed more than 1048576 bytes"),
        (f"print(({HALVES}) * 200_000)", "it printed more than 1048576 bytes"),
    ],
    ids=["exit code", "no text", "endless", "huge"],
)
def test_a_command_that_fails(program: str, reason: str) -> None:
    failure = refused(lambda: real_world().reveal(python(program)))
    assert failure.code == "command_failed"
    assert str(failure) == f"The command {sys.executable} gave no secret: {reason}."


@pytest.mark.parametrize(
    "program",
    [
        f"import time; print({HALVES}, flush=True); time.sleep(3600)",
        f"import os, time; os.write(1, ({HALVES}).encode()); os.close(1); time.sleep(3600)",
        "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(5)"
        if hasattr(os, "fork")
        else "import time; time.sleep(9)",
    ],
    ids=["never ends", "closes its output and never ends", "leaves a child that holds the output"],
)
def test_a_command_that_does_not_end(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_COMMAND_TIMEOUT_S", 0.5)
    failure = refused(lambda: real_world().reveal(python(program)))
    assert failure.code == "command_failed"
    assert str(failure).endswith("gave no secret: it did not end within 0.5 s.")


def test_a_command_that_did_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def watched(*args: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", watched)
    for program, limit_s in (("import time; time.sleep(3600)", 0.3), ("while True: print('x' * 999)", 30.0)):
        monkeypatch.setattr(references, "_COMMAND_TIMEOUT_S", limit_s)
        refused(lambda program=program: real_world().reveal(python(program)))  # type: ignore[misc]
        assert started[-1].returncode not in {None, 0}


@pytest.mark.parametrize("argv", [["no-such-program", CANARY], ["a\0b", CANARY], [os.curdir, CANARY]], ids=ascii)
def test_a_command_that_can_not_be_run_is_named_without_its_arguments(argv: list[str]) -> None:
    failure = refused(lambda: real_world().reveal(Secret.command(argv)))
    assert failure.code == "command_failed"
    assert f"The command {argv[0]} gave no secret: " in str(failure)


def test_a_command_gets_its_arguments_as_they_are_and_neither_input_nor_a_shell() -> None:
    program = "import sys; print(ascii(sys.argv[1:]), ascii(sys.stdin.read()))"
    arguments = ["$HOME", "a b", "*", "; echo x", "'\""]
    said = real_world().reveal(Secret.command([sys.executable, "-c", program, *arguments]))
    assert said == f"{arguments!a} ''"


def test_what_a_command_says_besides_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    program = f"import sys; print('s3cret'); print({CANARY!r}, file=sys.stderr)"
    assert real_world().reveal(python(program)) == "s3cret"
    assert capfd.readouterr() == ("", "")


def test_commands_leave_no_files_open_and_no_processes_behind() -> None:
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()  # noqa: PTH112, PTH208
    world = real_world()
    for program in ("print('x')", "raise SystemExit(1)", "print('x' * 2_000_000)"):
        try:
            world.reveal(python(program))
        except ConfigurationError:
            continue
    after = set(os.listdir("/proc/self/fd")) if before else set()  # noqa: PTH208
    assert len(after) <= len(before)


# Whether they have changed.


@pytest.mark.parametrize("put", [env, file])
def test_a_secret_has_changed_when_it_reads_differently_from_the_last_time(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = real_world()
    secret = put("one", tmp_path, monkeypatch)
    assert world.reveal(secret) == "one"
    assert not world.changed([secret])
    put("two", tmp_path, monkeypatch)
    assert world.changed([secret])
    assert world.changed([secret])  # until it is used
    world.reveal(secret)
    assert not world.changed([secret])
    put("two\n", tmp_path, monkeypatch)
    assert not world.changed([secret])


def test_a_file_that_was_missing_and_has_come_has_changed_and_one_that_has_gone_has_too(tmp_path: Path) -> None:
    world, path = real_world(), tmp_path / "secret"
    secret = Secret.file(path)
    refused(lambda: world.reveal(secret))
    assert not world.changed([secret])
    path.write_text("one")
    assert world.changed([secret])
    world.reveal(secret)
    path.unlink()
    assert world.changed([secret])


def test_one_of_many_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = real_world()
    secrets = [Secret("literal"), env("one", tmp_path, monkeypatch), file("one", tmp_path, monkeypatch)]
    for secret in secrets:
        world.reveal(secret)
    assert not world.changed(secrets)
    file("two", tmp_path, monkeypatch)
    assert world.changed(secrets)


def test_literals_and_commands_never_change_and_no_command_is_run_to_see(tmp_path: Path) -> None:
    world, mark = real_world(), tmp_path / "ran"
    secret = python(f"import pathlib; pathlib.Path({str(mark)!r}).touch(); print('x')")
    assert not world.changed([Secret("literal"), secret])
    assert not mark.exists()


def test_a_keyring_is_asked_when_the_secret_is_needed_and_not_to_see_whether_it_has_changed() -> None:
    succeeds("""
        import keyring
        from keyring.backends.null import Keyring
        from gatepass.core.secret import Secret
        from gatepass.engine.token_http import TokenHttp
        from gatepass.engine.world import RealWorld
        from gatepass.signers.key_ring import KeyRing

        asked = []

        class Asked(Keyring):
            def get_password(self, service, username, password=None):
                asked.append((service, username))
                return "one"

        keyring.set_keyring(Asked())
        world, secret = RealWorld(TokenHttp(), KeyRing()), Secret.keyring("gatepass", "ci-bot")
        assert world.reveal(secret) == "one"
        assert not world.changed([secret])
        assert asked == [("gatepass", "ci-bot")]
        print("ok")
    """)


def test_a_key_that_was_replaced_within_the_clocks_grain_is_read_again(tmp_path: Path) -> None:
    world, path = real_world(), tmp_path / "key.pem"
    path.write_text(pem("P-256", number=1))
    state = path.stat()
    key = PrivateKey(text=Secret.file(path))
    first = world.signer(key)
    with path.open("r+") as same:  # same inode, size and times, as a coarse clock would show them
        same.write(pem("P-256", number=2))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert world.changed([key.text])
    assert world.signer(key).public_jwk != first.public_jwk


def test_no_secret_is_kept_and_what_is_kept_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = real_world()
    secrets = [Secret(CANARY), env(CANARY, tmp_path, monkeypatch), file(CANARY, tmp_path, monkeypatch)]
    for _ in range(100):
        for secret in secrets:
            world.reveal(secret)
            world.reveal(Secret(CANARY))
    assert len(world._seen) == 2
    assert CANARY not in repr(vars(world))


# Signers.


class Signs:
    """A signer of the user's."""

    algorithms = ("ES256",)

    def __init__(self, problem: BaseException | None = None) -> None:
        self.public_jwk: dict[str, object] = {}
        self.problem = problem

    def sign(self, algorithm: str, data: bytes) -> bytes:
        if self.problem:
            raise self.problem
        return algorithm.encode() + data


def test_a_signer_signs() -> None:
    world, signer = real_world(), Signs()
    assert world.signer(signer) is signer
    assert world.sign(signer, "ES256", b"data") == b"ES256data"


@pytest.mark.parametrize(
    "problem", [ValueError(CANARY), SystemExit(CANARY), asyncio.CancelledError(CANARY)], ids=lambda e: type(e).__name__
)
def test_a_signer_that_fails_is_told_by_the_kind_of_its_failure(problem: BaseException) -> None:
    failure = refused(lambda: real_world().sign(Signs(problem), "ES256", b"data"))
    assert failure.code == "signer_failed"
    assert str(failure) == f"The signer failed with {type(problem).__name__} while making a ES256 signature."


@pytest.mark.parametrize("problem", [RemoteError("No.", code="vault_sealed"), KeyboardInterrupt()], ids=type)
def test_an_error_of_ours_and_ctrl_c_pass_through_a_signer(problem: BaseException) -> None:
    with pytest.raises(type(problem)) as failure:
        real_world().sign(Signs(problem), "ES256", b"")
    assert failure.value is problem


# Callables that give an assertion.


def test_an_assertion_may_be_literal_or_stand_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = real_world()
    sources = ["a.b.c", Secret("a.b.c"), file("a.b.c\n", tmp_path, monkeypatch)]
    assert [world.assertion(source, "aud") for source in sources] == ["a.b.c"] * 3


def test_a_callable_gets_the_audience_and_gives_the_assertion() -> None:
    assert real_world().assertion(lambda audience: f" {audience}.b.c\n", "aud") == "aud.b.c"


async def never(audience: str) -> str:
    await asyncio.Event().wait()
    return audience


def test_an_asynchronous_callable_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_module, "_CALLABLE_TIMEOUT_S", 0.05)
    failure = refused(lambda: real_world().assertion(never, "aud"))
    assert failure.code == "assertion_source_failed"
    assert str(failure) == "The callable that gives the assertion failed: TimeoutError."


class Cloud:
    """A source of identities that has a name."""

    name = "The metadata server"

    def __call__(self, audience: str) -> str | None:
        return None


@pytest.mark.parametrize(("source", "name"), [(lambda _: None, "The callable that"), (Cloud(), "The metadata server ")])
def test_a_callable_that_has_none_to_give_says_that_this_is_not_its_place(
    source: Callable[[str], str | None], name: str
) -> None:
    failure = refused(lambda: real_world().assertion(source, "aud"))
    assert failure.code == "assertion_source_absent"
    assert str(failure).startswith(name)


@pytest.mark.parametrize("answer", [0, CANARY.encode(), {"jwt": CANARY}], ids=type)
def test_what_is_no_string_is_no_assertion(answer: object) -> None:
    failure = refused(lambda: real_world().assertion(lambda _: answer, "aud"))  # type: ignore[arg-type, return-value]
    assert str(failure).endswith(f"failed: a {type(answer).__name__} instead of a string.")


# Nonces, certificates, and what is kept.


def test_the_newest_nonce_of_each_origin_is_kept() -> None:
    world = real_world()
    assert world.nonce("https://as.example.com") is None
    for nonce in ("one", "two"):
        world.keep_nonce("https://as.example.com", nonce)
        world.keep_nonce("https://as.example.net", f"other {nonce}")
    assert (world.nonce("https://as.example.com"), world.nonce("https://as.example.net")) == ("two", "other two")


def test_nonces_are_kept_within_bounds_and_those_that_are_kept_stay_new() -> None:
    world = real_world()
    for number in range(1000):
        world.keep_nonce(f"https://{number}.example.com", "one")
    world.keep_nonce("https://0.example.com", "two")
    assert len(world._nonces) == 100
    assert (world.nonce("https://0.example.com"), world.nonce("https://999.example.com")) == ("two", None)


def test_the_certificate_and_the_time_limit_are_those_of_the_token_client() -> None:
    world = RealWorld(TokenHttp(timeout_s=7), KeyRing())
    assert (world.certificate(), world.request_timeout_s) == (None, 7)


def test_what_steps_keep_stands_on_the_shelf() -> None:
    world = real_world()
    target = Target(endpoint="https://mcp.example.com/mcp")
    world.shelf = Shelf(MemoryStore(), target, ("bot",), world)
    registration = Registration(
        issuer="https://as.example.com", client_id="x", client_secret=None, method="none", redirect_uri="http://[::1]/"
    )
    assert world.recall(Registration, "one") is None
    world.keep(registration, "one")
    assert (world.recall(Registration, "one"), world.recall(Registration, "two")) == (registration, None)
    world.drop(Registration, "one")
    assert world.recall(Registration, "one") is None


def test_a_person_who_can_not_be_asked_here_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with real_world().person(Contact()) as person, pytest.raises(SignInRequiredError):
        person.ask("https://as.example.com/authorize?state=x", "x")


# What is said aloud.


@pytest.mark.parametrize(
    ("level", "number"), [("debug", logging.DEBUG), ("info", logging.INFO), ("warning", logging.WARNING)]
)
def test_a_notice_goes_to_the_log_by_its_level(level: str, number: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "gatepass"):
        real_world().notice(Notice(code="some_code", text="100 % %s", level=level))  # type: ignore[arg-type]
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("gatepass", number, "100 % %s")
    assert vars(record)["gatepass_code"] == "some_code"


def test_some_things_are_said_once_for_each_identity(caplog: pytest.LogCaptureFixture) -> None:
    once, always = (Notice(code="c", text=f"once: {once}", once=once, level="warning") for once in (True, False))
    one, two = real_world(), real_world()
    for _ in range(3):
        for world in (one, two):
            world.notice(once)
            world.notice(always)
    one.notice(Notice(code="c", text="another", once=True, level="warning"))
    assert caplog.messages.count("once: True") == 2
    assert caplog.messages.count("once: False") == 6
    assert caplog.messages.count("another") == 1


def test_what_is_said_once_is_remembered_within_bounds(caplog: pytest.LogCaptureFixture) -> None:
    world = real_world()
    for number in range(3000):
        world.notice(Notice(code="c", text=str(number), once=True, level="warning"))
    assert len(caplog.records) == len(world._said) == 1000


def test_a_log_that_fails_costs_nothing() -> None:
    def fails(record: logging.LogRecord) -> bool:
        raise ValueError(CANARY)

    logger = logging.getLogger("gatepass")
    logger.addFilter(fails)
    try:
        real_world().notice(Notice(code="c", text="something", level="warning"))
    finally:
        logger.removeFilter(fails)


def test_a_world_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(real_world())


def test_worlds_may_be_used_by_several_threads(tmp_path: Path) -> None:
    world, paths = real_world(), [tmp_path / str(number) for number in range(8)]
    for path in paths:
        path.write_text(json.dumps(path.name))
    secrets = [Secret.file(path) for path in paths]
    seen: list[bool] = []

    def read() -> None:
        for _ in range(50):
            for secret in secrets:
                world.reveal(secret)
            seen.append(world.changed(secrets))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [False] * 200


def test_a_secret_that_was_never_read_has_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "here")
    assert not real_world().changed([Secret.env("SOME_SECRET")])


def test_a_secret_that_was_missing_and_is_there_now_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    world, secret = real_world(), Secret.env("SOME_SECRET")
    monkeypatch.delenv("SOME_SECRET", raising=False)
    with pytest.raises(ConfigurationError):
        world.reveal(secret)
    assert not world.changed([secret])
    monkeypatch.setenv("SOME_SECRET", "here")
    assert world.changed([secret])
