"""A headless Chromium, driven over a pipe by the DevTools protocol: what it shows, and what it complains of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_ON_3_AND_4 = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium listens on descriptor 3, and answers on 4."""
_COMPLAINTS = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}


class Browser:
    """One tab of one browser, in a profile of its own.

    Attributes:
        complaints: what the console was told, and every violation of the page's own policy.
        requests: the URLs that were asked for.
    """

    def __init__(self, profile) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._last = 0
        self._unread = b""
        self._session = None
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        launcher = [sys.executable, "-c", _ON_3_AND_4, str(commands), str(answers)]
        self._process = subprocess.Popen(
            [*launcher, CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)

    def __enter__(self):
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_) -> None:
        self._session = None
        self._call("Browser.close")
        self._process.wait(60)
        os.close(self._commands)
        os.close(self._answers)

    def open(self, url, *, scheme, width=1100, height=900) -> None:
        """Load a page, as somebody sees it who prefers ``"light"`` or ``"dark"``."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self._call("Emulation.setDeviceMetricsOverride", **size, mobile=False)
        self._call("Page.navigate", url=url)
        self._until(lambda message: message.get("method") == "Page.loadEventFired")

    def run(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, file) -> bytes:
        """What is in the window as PNG, also written to a file."""
        shot = b64decode(self._call("Page.captureScreenshot")["data"])
        file.write_bytes(shot)
        return shot

    def _call(self, method, **parameters):
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def _until(self, wanted):
        while True:
            message = self._next()
            if message.get("method") in _COMPLAINTS:
                self.complaints.append(json.dumps(message["params"]))
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if wanted(message):
                return message

    def _next(self):
        while b"\0" not in self._unread:
            read = os.read(self._answers, 1 << 20)
            assert read, f"the browser has ended with {self._process.wait(60)}"
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\0")
        return json.loads(line)
