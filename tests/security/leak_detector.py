"""Looks for secrets wherever a program is overheard: logs, errors and their locals, reprs, pickles, files, warnings,
the arguments of other processes.

    with Witness(canaries) as witness:
        ...                              # let it happen
        witness.error(caught)            # an exception, with its chain and the locals of every frame but the test's own
        witness.thing(auth)              # its repr, and what copies and pickles of it hold
        witness.files(directory)         # the content of every file in it
    assert witness.leaks() == []

The witness says where a canary was heard, never the canary.
"""

from __future__ import annotations

import copy
import logging
import pickle
import sys
import threading
import traceback
import warnings
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

TESTS = Path(__file__).parents[1]
SHORTEST = 8
STARTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}
"""What Python says of other processes, with their arguments, to whoever audits it."""


class Canary:
    """A secret, and what it looks like when it has got out. Its own repr shows nothing, so a frame may hold it.

    Args:
        value: the secret.
        parts: pieces of it that are secret by themselves, such as the signature of a JWT.
    """

    def __init__(self, value, *parts):
        self.value = value
        self.needles = {look for piece in (value, *parts) for look in _looks(piece)}


def _looks(text):
    """A text as it stands, and as it is after the encodings of a request."""
    yield from {text, quote_plus(text), quote(text, safe=""), text.encode().hex(), repr(text)[1:-1]}
    for shift in range(3):  # base64 of something that ends with it
        encoded = b64encode(b"\0" * shift + text.encode()).decode()
        yield encoded[4 if shift else 0 :].rstrip("=")[:-2]


_listening = []
"""The witnesses that hear of other processes: an audit hook stays for ever, so there is one for all of them."""


def _on_audit(event, args):
    if event in STARTS and _listening:
        for witness in _listening:
            witness.text("the arguments of a process", repr(args[:2]))


sys.addaudithook(_on_audit)


class Witness(logging.Handler):
    """Hears everything from `with` on; see the module."""

    def __init__(self, canaries=()):
        super().__init__(logging.NOTSET)
        self._canaries = list(canaries)
        self._heard = []
        self._before = None

    def watch(self, *canaries):
        """Look for these, too, in what was heard already as in what is to come."""
        self._canaries += canaries

    def __enter__(self):
        root = logging.getLogger()
        loggers = [logging.getLogger(name) for name in logging.Logger.manager.loggerDict]
        self._before = (root.level, [(logger, logger.level) for logger in loggers])
        self._hooks = (threading.excepthook, sys.unraisablehook)
        self._warnings = warnings.catch_warnings(record=True)
        self._warned = self._warnings.__enter__()
        warnings.simplefilter("always")
        threading.excepthook = self._on_thread
        sys.unraisablehook = self._on_unraisable
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        _listening.append(self)
        return self

    def __exit__(self, *_):
        _listening.remove(self)
        root = logging.getLogger()
        root.removeHandler(self)
        level, levels = self._before
        root.setLevel(level)
        for logger, its_level in levels:
            logger.setLevel(its_level)
        threading.excepthook, sys.unraisablehook = self._hooks
        for warning in self._warned:
            self._hear("a warning", str(warning.message), repr(warning.source))
        self._warnings.__exit__(None, None, None)

    # What comes by itself.

    def emit(self, record):
        where = f"the log of {record.name}"
        self._hear(where, record.getMessage(), repr(record.args), repr(vars(record)))
        if record.exc_info:
            self.error(record.exc_info[1], f"an exception in {where}")

    def _on_thread(self, args):
        self.error(args.exc_value, "threading.excepthook")

    def _on_unraisable(self, args):
        self.error(args.exc_value, "sys.unraisablehook")

    # What a test shows it.

    def error(self, error, where="an error", *, frames_in=None):
        """An exception: its text, its attributes, its whole chain, and the locals of all frames but the test's own.

        Args:
            error: the exception.
            where: what it is called in the list of leaks.
            frames_in: look into the frames of code below this directory only.
        """
        for link in _chain(error):
            notes = getattr(link, "__notes__", ())
            self._hear(f"the text of {where}", str(link), repr(link), repr(vars(link)), *notes)
            frames = [
                (frame, line)
                for frame, line in traceback.walk_tb(link.__traceback__)
                if not _is_in(TESTS, frame) and (frames_in is None or _is_in(frames_in, frame))
            ]
            for frame, _ in frames:
                place = f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name})"
                for name, value in frame.f_locals.items():
                    self._hear(f"{name} in {place}, in the frames of {where}", _shown(value))

    def thing(self, thing):
        """An object: its repr, and whatever a copy or a pickle of it holds. Refusing to be copied is fine."""
        name = type(thing).__name__
        self._hear(f"the repr of {name}", repr(thing), str(thing), f"{thing}")
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            try:
                made = way(thing)
            except Exception as refusal:  # noqa: BLE001 - of whatever kind
                self.error(refusal, f"the refusal of {name}")
            else:
                self._hear(
                    f"{way.__name__} of {name}", made.decode("latin-1") if isinstance(made, bytes) else repr(made)
                )

    def files(self, directory, *, but=None):
        """The files in a directory, but for one that is meant to hold secrets."""
        for file in Path(directory).rglob("*"):
            if file.is_file() and (but is None or but not in file.parents):
                self._hear(f"the file {file.name}", file.name, file.read_bytes().decode("latin-1"))

    def names(self, directory):
        """What the files in a directory are called."""
        for file in Path(directory).rglob("*"):
            self._hear("the name of a file", file.name)

    def text(self, where, text):
        """Any text, such as what was printed."""
        self._hear(where, text)

    def ignore(self, place):
        """Leave out what was heard where a secret may be; the name of the place starts like this."""
        self._heard = [(where, text) for where, text in self._heard if not where.startswith(place)]

    def leaks(self):
        """Where canaries were heard."""
        needles = {needle for canary in self._canaries for needle in canary.needles}
        assert all(len(needle) >= SHORTEST for needle in needles), "a canary this short is heard everywhere"
        return sorted({where for where, text in self._heard if any(needle in text for needle in needles)})

    @property
    def words(self):
        """How much was heard: a witness that heard nothing proves nothing."""
        return len(self._heard)

    def _hear(self, where, *texts):
        self._heard += [(where, text) for text in texts]


def _chain(error):
    """An exception and everything that hangs on it, also what `from None` hides."""
    seen, todo = [], [error]
    while todo:
        link = todo.pop()
        if link is None or any(link is one for one in seen):
            continue
        seen.append(link)
        todo += [link.__cause__, link.__context__]
        todo += link.exceptions if isinstance(link, BaseExceptionGroup) else ()
    return seen


def _shown(value):
    """Its repr, as a traceback with locals has it; a half-made object may have none."""
    try:
        return repr(value)
    except Exception as problem:  # noqa: BLE001 - of whatever kind
        return f"<{type(problem).__name__}>"


def _is_in(directory, frame):
    return Path(frame.f_code.co_filename).is_relative_to(directory)
