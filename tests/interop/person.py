"""Somebody at a browser, without the browser: follows redirects, keeps cookies, and fills in oidc-provider's forms.

Run as a program, it is the browser, too: ``BROWSER="python person.py %s"``.
"""

from __future__ import annotations

import re
import ssl
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable

FORM = re.compile(r'<form[^>]* action="([^"]+)"[^>]*>\s*<input type="hidden" name="prompt" value="(login|consent)"')
CANCEL = re.compile(r'href="([^"]+/abort)"')


class Person:
    """Signs in and consents. `answers` and `comes_back` are made for ``AuthorizationCode(ask=...)``.

    Attributes:
        asked: where they were sent to, each time.
    """

    def __init__(self, name: str = "alice", *, trust: ssl.SSLContext | bool = True) -> None:
        self.asked: list[str] = []
        self._name = name
        self._trust = trust

    def answers(self, url: str) -> str:
        """Says yes, and reports the URL that the browser was sent back to."""
        return self._walk(url, self._says_yes)

    def comes_back(self, url: str) -> None:
        """Says yes, and lets the browser go where it is sent back to."""
        httpx2.get(self.answers(url)).raise_for_status()

    def refuses(self, url: str) -> str:
        """Says no."""
        return self._walk(url, self._says_no)

    def _walk(self, url: str, reply: Callable[[httpx2.Client, str], httpx2.Response]) -> str:
        """Through all pages, until one leads back to the program."""
        self.asked.append(url)
        [home] = parse_qs(urlsplit(url).query)["redirect_uri"]
        with httpx2.Client(verify=self._trust) as browser:
            page = browser.get(url)
            while not page.headers.get("Location", "").startswith(home):
                if page.next_request:
                    page = browser.send(page.next_request)
                else:
                    page = reply(browser, page.raise_for_status().text)
        return page.headers["Location"]

    def _says_yes(self, browser: httpx2.Client, page: str) -> httpx2.Response:
        form = FORM.search(page)
        assert form, page
        return browser.post(form[1], data={"prompt": form[2], "login": self._name, "password": "anything"})

    def _says_no(self, browser: httpx2.Client, page: str) -> httpx2.Response:
        link = CANCEL.search(page)
        assert link, page
        return browser.get(link[1])


if __name__ == "__main__":
    Person().comes_back(sys.argv[1])
