"""The records of one identity: what they are called, who wins, and what a store that fails costs."""

from __future__ import annotations

import itertools
import os
import string
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jar import ENDPOINT, ISSUER, Clock, Jar, JarWorld
from scripts import succeeds

from gatepass.core.target import Target
from gatepass.discovery import Discovery, KnownServer
from gatepass.engine.shelf import Shelf
from gatepass.errors import StoreError
from gatepass.lifecycle.record import GeneratedKey, TokenRecord
from gatepass.protocol.challenge import ResourceChallenge
from gatepass.protocol.registration import Registration
from gatepass.protocol.server import ServerMetadata
from gatepass.stores.base import Entry, Lease, check_name
from gatepass.stores.memory import MemoryStore

CANARY = "c4n4ry"


def record(generation: int, token: str = "token") -> TokenRecord:
    return TokenRecord(
        generation=generation, access_token=token, token_type="Bearer", obtained_at=1.7e9, lifetime_s=100.0,
        refresh_in_s=None, scope=None, requested=("a",), issuer=ISSUER, resource=ENDPOINT,
    )  # fmt: skip


def discovery(endpoint: str) -> Discovery:
    server = ServerMetadata(issuer=ISSUER, token_endpoint=endpoint)
    return Discovery(resource=ENDPOINT, scopes_supported=("a",), server=server, fetched_at=1.7e9, cache_s=300.0)


ONE, TWO = (ResourceChallenge(scheme="bearer", scope=(scope,)) for scope in ("a", "b"))


class Store(MemoryStore):
    """A store of the test's: counts what is asked of it, and fails as it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(clock=lambda: self.now)
        self.asked: list[str] = []
        self.problem: BaseException | None = None
        self.fails = {"read", "write", "acquire", "release", "delete"}
        self.meanwhile: Callable[[], object] | None = None
        """What somebody else does between our look and our step."""

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.problem is not None and what in self.fails:
            raise self.problem
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()

    def read(self, name: str) -> Entry | None:
        self._ask("read")
        return super().read(name)

    def write(self, name: str, value: bytes, *, expect: int, fence: int | None = None) -> int | None:
        self._ask("write")
        return super().write(name, value, expect=expect, fence=fence)

    def acquire(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        self._ask("acquire")
        return super().acquire(name, owner, ttl_s)

    def release(self, lease: Lease) -> None:
        self._ask("release")
        super().release(lease)

    def delete(self, name: str, *, expect: int | None = None) -> bool:
        self._ask("delete")
        return super().delete(name, expect=expect)


class World(JarWorld):
    """As in a jar, with dice that roll."""

    def random_bytes(self, n: int) -> bytes:
        return os.urandom(n)


class Place:
    """A store, and shelves in it."""

    def __init__(self) -> None:
        self.store = Store()
        self.clock = Clock()
        self.world = World(self.clock)

    def shelf(self, identity: tuple[str, ...] = ("bot",), **target: Any) -> Shelf:
        return Shelf(self.store, Target(endpoint=ENDPOINT, **target), identity, self.world)  # type: ignore[arg-type]

    @property
    def said(self) -> list[str]:
        return [notice.code for notice in self.world.notices]


# Names.

text = st.text(max_size=6) | st.sampled_from(["a", "b", "', '", "None", "()", "'"])
texts = st.lists(text, max_size=3, unique=True).map(tuple)
targets = st.builds(
    Target,
    endpoint=text,
    issuer=st.none() | text,
    scopes=st.none() | texts,
    token_endpoint=st.none() | text,
    resource=st.none() | text,
    send_resource=st.booleans(),
    audience=st.none() | text,
    extra=st.dictionaries(text, text, max_size=2).map(lambda more: tuple(more.items())),
    allow_metadata_origins=texts,
    allow_endpoint_origins=texts,
    tolerate_issuer_slash=st.booleans(),
)
SETS = ("scopes", "extra", "allow_metadata_origins", "allow_endpoint_origins")


def names(target: Target, identity: tuple[str, ...] = ("bot",)) -> tuple[str, str, str]:
    return Shelf(MemoryStore(), target, identity, JarWorld(Clock())).names


def meaning(target: Target) -> tuple[object, ...]:
    """The target without the order of what has none."""
    values = {name: getattr(target, name) for name in target.__struct_fields__}
    return tuple(
        (name, frozenset(value) if name in SETS and value is not None else value) for name, value in values.items()
    )


@given(one=targets, two=targets, me=texts, you=texts)
@example(one=Target(endpoint="a"), two=Target(endpoint="a", scopes=()), me=(), you=())
@example(one=Target(endpoint="a", scopes=("a", "b")), two=Target(endpoint="a", scopes=("b", "a")), me=(), you=())
@example(one=Target(endpoint="a"), two=Target(endpoint="a"), me=("a", "b"), you=("a', 'b",))
@example(one=Target(endpoint="a", resource="x"), two=Target(endpoint="a", audience="x"), me=(), you=())
def test_two_tokens_have_one_name_exactly_if_all_that_is_configured_is_the_same(
    one: Target, two: Target, me: tuple[str, ...], you: tuple[str, ...]
) -> None:
    same = meaning(one) == meaning(two) and me == you
    assert (names(one, me)[0] == names(two, you)[0]) == same


CHANGES: dict[str, object] = {
    "endpoint": "https://mcp.example.com/other",
    "issuer": "https://as.example.com",
    "scopes": ("a",),
    "token_endpoint": "https://as.example.com/token",
    "resource": "urn:x",
    "send_resource": False,
    "audience": "urn:x",
    "extra": (("a", "b"),),
    "allow_metadata_origins": ("https://x.example.com",),
    "allow_endpoint_origins": ("https://x.example.com",),
    "allow_legacy_discovery": True,
    "step_up": True,
    "tolerate_issuer_slash": True,
}


def test_every_field_of_a_target_is_known_here() -> None:
    assert set(CHANGES) == set(Target.__struct_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_what_is_shared_by_all_who_ask_the_same_is_named_by_that_alone(field: str) -> None:
    plain = Target(endpoint=ENDPOINT)
    other = Target(**{"endpoint": ENDPOINT, field: CHANGES[field]})  # type: ignore[arg-type]
    token, found, challenge = (a != b for a, b in zip(names(plain), names(other), strict=True))
    assert token
    assert found == (field not in {"scopes", "step_up", "resource", "send_resource", "audience", "extra"})
    assert challenge == (field == "endpoint")


def test_two_identities_share_what_is_known_of_the_resource_and_no_token() -> None:
    target = Target(endpoint=ENDPOINT)
    assert names(target, ("one",))[0] != names(target, ("two",))[0]
    assert names(target, ("one",))[1:] == names(target, ("two",))[1:]


@given(target=targets, identity=texts)
def test_a_name_fits_every_store_and_shows_nothing(target: Target, identity: tuple[str, ...]) -> None:
    for name in names(target, identity):
        check_name(name)
        kind, _, digest = name.partition(".")
        assert kind in {"token", "metadata", "challenge"}
        assert len(digest) == 32
        assert set(digest) <= set(string.hexdigits)


def test_names_stay_what_they_are_or_every_user_asks_for_a_token_once_more() -> None:
    assert names(Target(endpoint=ENDPOINT, issuer=ISSUER, scopes=("a",)), ("client_secret", "bot")) == (
        "token.e5773b3dd2bb49bb03bf27e59488d14c",
        "metadata.d5db12276f7a347e544a82b8b41f558c",
        "challenge.35018a6758bd268f1608575b9e5d6b29",
    )


# Reading and keeping.


def test_what_was_kept_is_read_by_the_next() -> None:
    place = Place()
    one, two = place.shelf(), place.shelf()
    assert (one.token(), one.discovery(), one.challenge()) == (None, None, None)
    one.keep_token(record(1), None)
    one.keep_discovery(discovery("https://as.example.com/1"))
    one.keep_challenge(ONE)
    assert (two.token(), two.discovery(), two.challenge()) == (record(1), discovery("https://as.example.com/1"), ONE)


def test_a_token_is_kept_over_an_older_one_that_came_meanwhile() -> None:
    place = Place()
    mine, theirs = place.shelf(), place.shelf()
    mine.token()
    theirs.keep_token(record(1, "theirs"), None)
    mine.keep_token(record(2, "mine"), None)
    assert place.shelf().token() == record(2, "mine")


@pytest.mark.parametrize("generation", [2, 3])
def test_a_token_is_not_kept_over_one_as_new_or_newer(generation: int) -> None:
    place = Place()
    mine, theirs = place.shelf(), place.shelf()
    mine.token()
    theirs.keep_token(record(generation, "theirs"), None)
    mine.keep_token(record(2, "mine"), None)
    assert place.shelf().token() == record(generation, "theirs")


def test_a_token_is_kept_over_one_that_was_written_between_the_look_and_the_step() -> None:
    place = Place()
    mine, theirs = place.shelf(), place.shelf()
    place.store.meanwhile = lambda: theirs.keep_token(record(1, "theirs"), None)
    mine.keep_token(record(2, "mine"), None)
    assert place.shelf().token() == record(2, "mine")


def test_a_token_is_kept_over_one_that_has_gone() -> None:
    place = Place()
    mine = place.shelf()
    mine.keep_token(record(1), None)
    place.store.delete(mine.names[0])
    mine.keep_token(record(2), None)
    assert place.shelf().token() == record(2)


def test_a_shelf_that_never_looked_keeps_all_the_same() -> None:
    place = Place()
    place.shelf().keep_discovery(discovery("https://as.example.com/1"))
    place.shelf().keep_discovery(discovery("https://as.example.com/2"))
    assert place.shelf().discovery() == discovery("https://as.example.com/2")


def test_whoever_found_something_last_has_the_last_word() -> None:
    place = Place()
    mine, theirs = place.shelf(), place.shelf()
    mine.discovery(), mine.challenge()
    theirs.keep_discovery(discovery("https://as.example.com/theirs"))
    theirs.keep_challenge(ONE)
    mine.keep_discovery(discovery("https://as.example.com/mine"))
    mine.keep_challenge(TWO)
    assert place.shelf().discovery() == discovery("https://as.example.com/mine")
    assert place.shelf().challenge() == TWO


def test_a_challenge_that_is_kept_already_is_not_written_again() -> None:
    place = Place()
    mine = place.shelf()
    for challenge in (ONE, ONE, TWO, TWO):
        mine.keep_challenge(challenge)
    next_ = place.shelf()
    next_.challenge()
    next_.keep_challenge(TWO)
    assert place.store.asked.count("write") == 2


# Leases.


def test_a_lease_is_taken_by_one_and_given_back() -> None:
    place = Place()
    one, two = place.shelf(), place.shelf()
    lease = one.lease(5)
    assert lease is not None
    assert two.lease(5) is None
    again = one.lease(5)  # the answer to the first attempt may have been lost
    assert again is not None
    assert (again.owner, again.fence > lease.fence) == (lease.owner, True)
    one.give_back(again)
    assert two.lease(5) is not None


def test_a_lease_lapses_within_a_callers_patience() -> None:
    place = Place()
    assert place.shelf().lease(5) is not None
    place.store.now += 5.1
    assert place.shelf().lease(5) is not None


def test_two_identities_do_not_wait_for_each_other() -> None:
    place = Place()
    assert place.shelf(("one",)).lease(5) is not None
    assert place.shelf(("two",)).lease(5) is not None


def test_whose_lease_has_lapsed_and_been_taken_still_shares_a_token_that_is_newer() -> None:
    place = Place()
    slow, quick = place.shelf(), place.shelf()
    stale = slow.lease(5)
    place.store.now += 5.1
    lease = quick.lease(5)
    assert quick.token() is None
    slow.keep_token(record(2, "slow"), stale)
    assert place.shelf().token() == record(2, "slow"), "those who wait for one need not wait for the next"
    quick.keep_token(record(2, "quick"), lease)
    assert place.shelf().token() == record(2, "slow"), "one of a number is enough"
    quick.keep_token(record(3, "quick"), lease)
    slow.keep_token(record(2, "slow"), stale)
    assert place.shelf().token() == record(3, "quick")
    assert place.said == []


@pytest.mark.parametrize("refresh_token", [None, "r2"])
def test_a_token_that_could_not_be_kept_is_kept_once_the_store_works_again(refresh_token: str | None) -> None:
    place = Place()
    shelf = place.shelf()
    assert shelf.token() is None
    newest = msgspec.structs.replace(record(2, "newest"), refresh_token=refresh_token)
    place.store.problem, place.store.fails = StoreError("Gone.", code="store_gone"), {"write"}
    shelf.keep_token(newest, None)
    place.store.problem = None
    place.clock.turn(11)
    shelf.keep_challenge(ResourceChallenge(scheme="bearer"))  # whatever shows that it works again
    assert shelf.token() is None
    assert shelf.token() == newest
    shelf.keep_token(record(3, "next"), None)
    assert place.shelf().token() == record(3, "next")


def test_what_could_not_be_kept_does_not_take_the_place_of_what_is_newer() -> None:
    place = Place()
    shelf = place.shelf()
    shelf.token()
    place.store.problem, place.store.fails = StoreError("Gone.", code="store_gone"), {"write"}
    shelf.keep_token(record(2, "mine"), None)
    place.store.problem = None
    place.clock.turn(11)
    place.shelf().keep_token(record(3, "theirs"), None)
    shelf.keep_challenge(ResourceChallenge(scheme="bearer"))  # whatever shows that it works again
    assert shelf.token() == record(3, "theirs")
    assert place.shelf().token() == record(3, "theirs")


def test_a_refresh_token_is_worth_a_second_try_at_once() -> None:
    place = Place()
    shelf = place.shelf()
    shelf.token()
    write, tries = place.store.write, []

    def one_hiccup(*arguments: Any, **options: Any) -> int | None:
        tries.append(arguments)
        if len(tries) == 1:
            raise StoreError("A hiccup.", code="store_failed")
        return write(*arguments, **options)

    place.store.write = one_hiccup  # type: ignore[method-assign]
    rotated = msgspec.structs.replace(record(2, "rotated"), refresh_token="r2")
    shelf.keep_token(rotated, None)
    assert place.shelf().token() == rotated


def test_a_store_that_fails_is_left_alone_by_all_who_use_it_and_complained_of_once() -> None:
    place = Place()
    place.store.shared = True  # type: ignore[assignment]
    one, two = place.shelf(("one",)), place.shelf(("two",))
    place.store.problem = StoreError("Gone.", code="store_gone")
    assert one.token() is None
    asked = len(place.store.asked)
    assert two.token() is None
    assert len(place.store.asked) == asked
    assert place.said == ["store_gone"]


def test_a_lease_that_was_given_back_late_is_no_trouble() -> None:
    place = Place()
    slow, quick = place.shelf(), place.shelf()
    stale = slow.lease(5)
    place.store.now += 5.1
    assert quick.lease(5) is not None
    assert stale is not None
    slow.give_back(stale)
    assert place.shelf().lease(5) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_another_owner() -> None:
    succeeds("""
        import os, tempfile
        from gatepass.core.target import Target
        from gatepass.engine.shelf import Shelf
        from gatepass.engine.token_http import TokenHttp
        from gatepass.engine.world import RealWorld
        from gatepass.signers.key_ring import KeyRing
        from gatepass.stores.file import FileStore

        with tempfile.TemporaryDirectory() as directory:
            world = RealWorld(TokenHttp(), KeyRing())
            shelf = Shelf(FileStore(directory), Target(endpoint="https://mcp.example.com/mcp"), ("bot",), world)
            lease = shelf.lease(5)
            child = os.fork()
            if not child:
                os._exit(0 if shelf.lease(5) is None else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            shelf.give_back(lease)
            assert shelf.lease(5) is not None
        print("ok")
    """)


def test_a_lease_can_be_prolonged_by_who_holds_it_and_outlasts_the_first() -> None:
    place = Place()
    shelf, other = place.shelf(), place.shelf()
    first = shelf.lease(5)
    longer = shelf.lease(100, first)
    assert first is not None
    assert longer is not None
    place.store.now += 50
    shelf.give_back(first)
    assert other.lease(5) is None
    shelf.keep_token(record(1), longer)
    assert other.token() == record(1)
    shelf.give_back(longer)
    assert other.lease(5) is not None


def test_a_lease_that_another_has_taken_meanwhile_can_not_be_prolonged() -> None:
    place = Place()
    shelf, other = place.shelf(), place.shelf()
    first = shelf.lease(5)
    place.store.now += 5.1
    assert other.lease(5) is not None
    assert shelf.lease(100, first) is None


# Bound tokens.


def test_a_token_that_is_bound_has_a_name_by_what_it_is_bound_to() -> None:
    place = Place()
    shelf = place.shelf()
    plain = shelf.names
    seen = [plain]
    for bound_to in (("one",), ("two",), ("one", "two"), ("two", "one")):
        shelf.bind(*bound_to)
        seen.append(shelf.names)
    assert len({token for token, _, _ in seen}) == 5
    assert {rest for _, *rest in seen for rest in rest} == set(plain[1:])
    shelf.bind()
    assert shelf.names == plain


def test_a_lease_is_for_the_name_of_that_token() -> None:
    place = Place()
    one, other = place.shelf(), place.shelf()
    one.bind("one")
    assert one.lease(5) is not None
    assert other.lease(5) is not None


# Keys that are made.


def keys() -> Iterator[GeneratedKey]:
    for number in itertools.count():
        yield GeneratedKey(jwk=f"key {number}")


def test_a_key_is_made_once_for_all_that_share_the_store() -> None:
    place, made = Place(), keys()
    shelves = [place.shelf() for _ in range(3)]
    assert [shelf.generated_key(made.__next__).jwk for shelf in shelves * 2] == ["key 0"] * 6
    assert place.shelf(("another",)).generated_key(made.__next__).jwk == "key 1"


def test_of_two_keys_that_are_made_at_once_the_one_that_was_kept_first_is_everybodys() -> None:
    place, made = Place(), keys()
    mine, theirs = place.shelf(), place.shelf()

    def make() -> GeneratedKey:
        key = next(made)
        theirs.generated_key(made.__next__)
        return key

    assert mine.generated_key(make).jwk == "key 1"
    assert theirs.generated_key(make).jwk == "key 1"


def test_while_the_store_fails_a_process_keeps_to_the_key_that_it_made() -> None:
    place, made = Place(), keys()
    shelf = place.shelf()
    place.store.problem = OSError()
    assert [shelf.generated_key(made.__next__).jwk for _ in range(3)] == ["key 0"] * 3
    place.clock.turn(60)
    place.store.problem = None
    assert shelf.generated_key(made.__next__).jwk == "key 0"
    assert place.shelf().generated_key(made.__next__).jwk == "key 0"


def test_a_key_that_another_has_kept_meanwhile_wins_over_the_one_that_was_made_without_the_store() -> None:
    place, made = Place(), keys()
    shelf, other = place.shelf(), place.shelf()
    place.store.problem = OSError()
    shelf.generated_key(made.__next__)
    place.clock.turn(60)
    place.store.problem = None
    assert other.generated_key(made.__next__).jwk == "key 1"
    assert shelf.generated_key(made.__next__).jwk == "key 1"


def test_a_key_is_never_shown() -> None:
    assert "key 0" not in repr(next(keys()))


# What is dropped.


def test_a_token_is_dropped_with_the_key_that_was_made_for_it_and_with_nothing_else() -> None:
    place, made = Place(), keys()
    shelf, other = place.shelf(), place.shelf(("another",))
    for each in (shelf, other):
        each.keep_token(record(1), None)
        each.generated_key(made.__next__)
    shelf.keep_discovery(discovery("https://as.example.com/1"))
    shelf.drop_token()
    assert (shelf.token(), shelf.generated_key(made.__next__).jwk) == (None, "key 2")
    assert (other.token(), other.generated_key(made.__next__).jwk) == (record(1), "key 1")
    assert shelf.discovery() == discovery("https://as.example.com/1")
    shelf.keep_token(record(2), None)
    assert other.token() == record(1)
    assert shelf.token() == record(2)


@pytest.mark.parametrize("problem", [StoreError("The disk is gone.", code="store_gone"), OSError(CANARY)], ids=repr)
def test_a_token_that_may_still_be_there_is_an_error(problem: Exception) -> None:
    place = Place()
    shelf = place.shelf()
    shelf.keep_token(record(1), None)
    place.store.problem, place.store.fails = problem, {"delete"}
    with pytest.raises(StoreError) as failure:
        shelf.drop_token()
    assert CANARY not in str(failure.value)
    place.store.problem = None
    shelf.drop_token()  # at once: whoever signs out wants to know
    place.clock.turn(60)
    assert shelf.token() is None


# What the steps of the protocol keep.


def registration(client_id: str) -> Registration:
    return Registration(
        issuer=ISSUER, client_id=client_id, client_secret=CANARY, method="none", redirect_uri="http://127.0.0.1/"
    )


def test_what_a_step_keeps_it_finds_again_by_kind_and_name() -> None:
    place = Place()
    one, other = place.shelf(), place.shelf(("another",))
    one.keep(registration("1"), ISSUER, "gatepass")
    one.keep(registration("2"), ISSUER, "another")
    assert other.recall(Registration, ISSUER, "gatepass") == registration("1")
    assert other.recall(Registration, ISSUER, "another") == registration("2")
    assert other.recall(Registration, ISSUER) is None
    assert other.recall(KnownServer, ISSUER, "gatepass") is None
    one.keep(registration("3"), ISSUER, "gatepass")
    assert other.recall(Registration, ISSUER, "gatepass") == registration("3")
    other.drop(Registration, ISSUER, "gatepass")
    assert one.recall(Registration, ISSUER, "gatepass") is None
    one.keep(registration("4"), ISSUER, "gatepass")
    assert other.recall(Registration, ISSUER, "gatepass") == registration("4")
    assert CANARY not in repr(registration("1"))


@pytest.mark.parametrize("fails", [{"read"}, {"write"}, {"read", "write"}], ids=str)
def test_what_a_step_kept_serves_this_process_while_the_store_fails(fails: set[str]) -> None:
    place = Place()
    shelf = place.shelf()
    place.store.problem, place.store.fails = OSError(), fails
    shelf.keep(registration("1"), ISSUER)
    assert shelf.recall(Registration, ISSUER) == registration("1")
    shelf.drop(Registration, ISSUER)
    assert shelf.recall(Registration, ISSUER) is None


def test_what_was_read_once_serves_while_the_store_fails() -> None:
    place = Place()
    place.shelf().keep(registration("1"), ISSUER)
    shelf = place.shelf()
    shelf.recall(Registration, ISSUER)
    place.store.problem = OSError()
    assert shelf.recall(Registration, ISSUER) == registration("1")


def test_what_another_has_dropped_does_not_come_back_because_the_store_failed_once() -> None:
    place = Place()
    shelf = place.shelf()
    shelf.keep(registration("1"), ISSUER)
    place.store.problem, place.store.fails = OSError(), {"delete"}
    shelf.drop(Registration, "something else")
    place.store.problem = None
    place.clock.turn(60)
    shelf.keep(registration("2"), "something else")
    place.shelf().drop(Registration, ISSUER)
    assert shelf.recall(Registration, ISSUER) is None


# Stores that fail.

PROBLEMS = [StoreError("The disk is gone.", code="store_gone"), OSError(CANARY), KeyError(CANARY)]
failing = pytest.mark.parametrize("problem", PROBLEMS, ids=repr)


def use(shelf: Shelf, lease: Lease) -> None:
    """Everything that can be asked of a shelf."""
    assert (shelf.token(), shelf.discovery(), shelf.challenge()) == (None, None, None)
    shelf.keep_token(record(1), lease)
    shelf.keep_discovery(discovery("https://as.example.com/1"))
    shelf.keep_challenge(ONE)
    shelf.give_back(lease)


@failing
def test_a_store_that_fails_stops_nothing_and_is_told_of_once(problem: Exception) -> None:
    place = Place()
    shelf = place.shelf()
    lease = shelf.lease(5)
    assert lease is not None
    place.store.problem = problem
    for _ in range(3):
        use(shelf, lease)
        with pytest.raises(StoreError) as failure:
            shelf.lease(5)
        assert CANARY not in str(failure.value)
        place.clock.turn(60)
    (notice,) = place.world.notices
    assert (notice.code, notice.level) == (
        problem.code if isinstance(problem, StoreError) else "store_failed",
        "warning",
    )
    assert CANARY not in notice.text


@failing
def test_what_fails_again_after_it_has_worked_is_told_of_again(problem: Exception) -> None:
    place = Place()
    shelf = place.shelf()
    for _ in range(3):
        place.store.problem = problem
        shelf.token()
        place.clock.turn(60)
        place.store.problem = None
        shelf.keep_token(record(1), None)
        assert shelf.token() == record(1)
    assert len(place.said) == 3


@pytest.mark.parametrize("step", ["read", "write", "acquire"])
def test_what_works_besides_does_not_make_it_tell_of_a_failure_again(step: str) -> None:
    jar = Jar(store=(store := Store()))
    store.shared = True  # type: ignore[misc]
    store.problem, store.fails = OSError(), {step}
    for generation in (1, 2, 3):
        assert jar.token().generation == generation
        jar.advance(1000)
    assert [notice.code for notice in jar.world.notices].count("store_failed") == 1


def test_a_store_that_failed_is_left_alone_for_as_long_as_a_caller_waits() -> None:
    place = Place()
    shelf = place.shelf()
    lease = shelf.lease(5)
    assert lease is not None
    place.store.problem = OSError()
    place.store.asked.clear()
    use(shelf, lease)
    assert place.store.asked == ["read"]
    place.clock.turn(9.9)
    use(shelf, lease)
    assert place.store.asked == ["read"]
    place.clock.turn(0.2)
    place.store.problem = None
    shelf.keep_token(record(1), None)
    assert shelf.token() == record(1)


def test_a_store_that_hangs_holds_up_a_renewal_once() -> None:
    jar = Jar(store=(store := Store()))
    store.problem = OSError()
    assert jar.token().generation == 1
    assert len(store.asked) == 1


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"generation": "1"}', CANARY.encode(), b"\xff"], ids=repr)
def test_a_record_that_can_not_be_read_is_told_of_once_and_replaced(value: bytes) -> None:
    place = Place()
    shelf = place.shelf()
    for name in shelf.names:
        place.store.write(name, value, expect=0)
    assert (shelf.token(), shelf.discovery(), shelf.challenge()) == (None, None, None)
    assert place.said == ["record_invalid"] * 3
    assert all(notice.once and CANARY not in notice.text for notice in place.world.notices)
    shelf.keep_token(record(1), None)
    shelf.keep_discovery(discovery("https://as.example.com/1"))
    shelf.keep_challenge(ONE)
    again = place.shelf()
    assert (again.token(), again.discovery(), again.challenge()) == (
        record(1), discovery("https://as.example.com/1"), ONE
    )  # fmt: skip
