"""A transport that remembers what a program says to its authorization server, and what it hears."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx2


@dataclass(frozen=True, slots=True)
class Exchange:
    """A POST and its answer. What was sent is read as a form."""

    path: str
    form: dict[str, str]
    answer: dict[str, Any]


class Wiretap(httpx2.BaseTransport):
    """For ``TokenHttp(transport=...)``."""

    def __init__(self) -> None:
        self.posts: list[Exchange] = []
        self._way = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._way.handle_request(request)
        body = response.read()
        if request.method == "POST":
            form = dict(parse_qsl(request.content.decode()))
            self.posts.append(Exchange(request.url.path, form, json.loads(body) if body else {}))
        return response

    def close(self) -> None:
        self._way.close()

    def to(self, path: str) -> list[Exchange]:
        """The posts to one endpoint."""
        return [post for post in self.posts if post.path == path]

    @property
    def grants(self) -> list[str]:
        """The grants that brought a token, in order."""
        return [post.form["grant_type"] for post in self.to("/token") if "access_token" in post.answer]

    @property
    def refresh_tokens(self) -> list[str]:
        """Those that were issued, in order."""
        return [post.answer["refresh_token"] for post in self.to("/token") if "refresh_token" in post.answer]
