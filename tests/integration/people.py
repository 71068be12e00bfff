"""People without a browser, who say yes: what `AuthorizationCode(ask=...)` is given, and what they saw."""

from __future__ import annotations

import httpx2


class Person:
    """Somebody who goes where they are sent, and says where that led."""

    def __init__(self):
        self.urls = []

    def __call__(self, url):
        self.urls.append(url)
        return httpx2.get(url, trust_env=False).headers["Location"]

    @property
    def asked(self):
        """How often they were asked."""
        return len(self.urls)

    def saw(self, parameter):
        """A parameter of each authorization request."""
        return [httpx2.URL(url).params.get(parameter) for url in self.urls]


def at_the_browser(url):
    """Somebody whose browser follows the redirect to the listener, and returns nothing to the program."""
    page = httpx2.get(url, follow_redirects=True, trust_env=False)
    assert page.status_code == 200
    assert "close this page" in page.text
