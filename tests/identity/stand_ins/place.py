"""What the stand-ins of platforms share: they hold to their protocol until they are told to be in trouble."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import pytest
from identity.stand_ins.tokens import issued
from wire import Answer, Visit, Wire, response

from gatepass.identity import Platform

Makes = Callable[[str], str]
"""A token for an audience."""

ECHO = b"canary-in-the-answer"
"""What an answer holds that must not be passed on."""

JSON = b"Content-Type: application/json"
HTML = response(b"<!doctype html><title>Sign in</title>" + ECHO, b"Content-Type: text/html")
BROKEN_JSON = response(b'{"value": "' + ECHO, JSON)
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + ECHO
NO_HTTP = b"\x00\xff\x00" + ECHO + b"\r\n\r\n"


class Request:
    """A request, taken apart."""

    def __init__(self, visit: Visit) -> None:
        line, *fields = visit.head
        self.method, target, _ = line.split(" ")
        self.path = urlsplit(target).path
        self.query = dict(parse_qsl(urlsplit(target).query))
        self.form = dict(parse_qsl(visit.request.partition(b"\r\n\r\n")[2].decode()))
        self.headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}


class Place:
    """A platform. `asked` are the audiences, `given` the tokens, `secrets` what else an error must not show."""

    kind: type[Platform]
    extra = ""
    library = ""
    secrets: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.makes: Makes = issued
        self.asked: list[str] = []
        self.given: list[str] = []

    def source(self, *, timeout_s: float = 30.0) -> Platform:
        """The source under test; it waits long, but where waiting is what is tested."""
        return self.kind(timeout_s=timeout_s)

    def give(self, makes: Makes) -> None:
        """Give such tokens from now on."""
        self.makes = makes

    def token(self, audience: str) -> str:
        """A token, made and written down."""
        self.asked.append(audience)
        self.given.append(self.makes(audience))
        return self.given[-1]


class HttpPlace(Place):
    """A platform with an endpoint on loopback."""

    def __init__(self, environment: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.environment = environment
        self.trouble: Answer | None = None
        self.wire = Wire(self._answer)

    def __enter__(self) -> Self:
        self.wire.__enter__()
        self.move_in()
        return self

    def __exit__(self, *reason: object) -> None:
        self.wire.__exit__(*reason)

    def move_in(self) -> None:
        """Let this process believe that it runs there."""
        raise NotImplementedError

    def reply(self, request: Request) -> bytes:
        """The answer to a request, as the platform would give it."""
        raise NotImplementedError

    def refusal(self, status: int) -> bytes:
        """The body of an error, as the platform would write it."""
        raise NotImplementedError

    def fail(self, status: int) -> None:
        """Answer with this status."""
        self.trouble = lambda visit: visit.say(response(self.refusal(status), JSON, status=b"%d Trouble" % status))

    def say(self, raw: bytes) -> None:
        """Answer with these bytes."""
        self.trouble = lambda visit: visit.say(raw)

    def hang(self) -> None:
        """Answer nothing."""
        self.trouble = lambda visit: visit.over.wait(30)

    def _answer(self, visit: Visit) -> None:
        if self.trouble is None:
            visit.say(self.reply(Request(visit)))
        else:
            self.trouble(visit)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
