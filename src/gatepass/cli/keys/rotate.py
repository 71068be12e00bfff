"""`gatepass keys rotate`: from one key to the next, with a time in which the server takes both.

    FILE                                  the key in use
    FILE, FILE.next    after the start    the next one waits beside it
    FILE, FILE.old     after --finish     FILE is the next one, in one step: a reader sees the old or the new, whole
    FILE               after --drop-old

The old key is copied before its place is taken, so a machine that stops in between has both, and --finish goes on.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from gatepass.cli.exits import UsageError
from gatepass.cli.keys.key_file import create, is_jwk, read_signer, sync_directory, unwritable
from gatepass.cli.keys.pair import Algorithm, new_pem
from gatepass.cli.keys.password import Password  # noqa: TC001 - typer reads the annotations
from gatepass.cli.keys.public import PublicHalf, bits_of, jwk_set, public_half
from gatepass.cli.screen import write_json
from gatepass.cli.voice import Voice, note
from gatepass.keys.thumbprint import thumbprint

if TYPE_CHECKING:
    from gatepass.errors import ConfigurationError

__all__ = ["rotate"]


def rotate(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The private key in use, in PEM.")],
    password: Password,
    voice: Voice,
    *,
    algorithm: Annotated[
        Algorithm | None,
        typer.Option(metavar="ALG", case_sensitive=False, help="What the next key signs with; else as this one."),
    ] = None,
    finish: Annotated[bool, typer.Option("--finish", help="Step 2: put the next key in its place.")] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Step 3: delete the old key.")] = False,
) -> None:
    """Go over from one key to the next.

    In three steps, while programs run; each prints the JWK set to publish, and what to do next. The first makes the
    next key, ci-bot.next.pem. When the server knows both, the second puts it in the place of ci-bot.pem, in one
    instant: whoever reads the file finds the old key or the new one, whole. The old one is kept, as ci-bot.old.pem,
    until the third. To give up after the first step, delete ci-bot.next.pem.

    \b
    $ gatepass keys rotate ci-bot.pem > jwks.json
    $ gatepass keys rotate ci-bot.pem --finish
    $ gatepass keys rotate ci-bot.pem --drop-old > jwks.json
    """
    if finish and drop_old:
        msg = "--finish and --drop-old are two steps: take one, wait until nobody needs the old key, take the other."
        raise UsageError(msg)
    if algorithm is not None and (finish or drop_old):
        msg = "--algorithm goes with the first step, which makes the key: leave it out."
        raise UsageError(msg)
    rotation = _Rotation(path.resolve() if path.is_symlink() else path, password)
    if finish:
        rotation.finish()
        halves, text = rotation.halves(rotation.current, rotation.old), _FINISHED
    elif drop_old:
        rotation.drop_old()
        halves, text = rotation.halves(rotation.current), _DROPPED
    else:
        text = _STARTED if rotation.start(algorithm) else _STARTED_BEFORE
        halves = rotation.halves(rotation.next, rotation.current)
    write_json(jwk_set(halves))
    again = f"gatepass keys rotate {path}{password.options}"
    note(voice, text.format(path=path, next=rotation.next, old=rotation.old, kid=halves[0]["kid"], again=again))


_STARTED = """\
{next} holds the next key, and nothing signs with it yet.
Publish the JWK set that is on stdout, or register the new key (kid {kid}) beside the old one.
When the server knows both (it may keep a set for as long as your Cache-Control says):
  {again} --finish"""
_STARTED_BEFORE = "{next} is there already; no other key was made.\n" + _STARTED.partition("\n")[2]
_FINISHED = """\
{path} is the new key from now on (kid {kid}), and {old} the old one.
A program that reads its key file for each token signs with it at once; restart any other, and change the kid where
one is named. When nobody signs with the old key any more:
  {again} --drop-old"""
_DROPPED = """\
{old} is gone. Publish the JWK set that is on stdout, or have the old key struck off at the server."""

_BY_CURVE: dict[object, Algorithm] = {
    "P-256": Algorithm.ES256,
    "P-384": Algorithm.ES384,
    "P-521": Algorithm.ES512,
    "Ed25519": Algorithm.EDDSA,
}


class _Rotation:
    """The files of one key."""

    def __init__(self, current: Path, password: Password) -> None:
        self.current = current
        self.next = current.with_name(f"{current.stem}.next{current.suffix}")
        self.old = current.with_name(f"{current.stem}.old{current.suffix}")
        self._password = password

    def halves(self, *paths: Path) -> list[PublicHalf]:
        """The public halves of some of them."""
        return [public_half(read_signer(path, self._password.secret)) for path in paths]

    def start(self, algorithm: Algorithm | None) -> bool:
        """Make the next key, unless it is there. Whether it was made.

        Raises:
            UsageError: the last rotation has not come to its end, or the key is a JWK.
            ConfigurationError: the key in use can't be read, or the next one not be written.
        """
        (half,) = self.halves(self.current)
        if is_jwk(self.current):
            msg = f"{self.current} is a JWK, which has a kid of its own. What is rotated here is PEM: gatepass keys new"
            raise UsageError(msg)
        if self.old.exists():
            msg = f"{self.old} is left from the last rotation. Nobody needs it any more? Then first: --drop-old"
            raise UsageError(msg)
        if self.next.exists():
            return False
        problem = create(self.next, new_pem(algorithm or _alike(half), _bits(half, algorithm), self._password.read()))
        if problem is not None:
            raise problem
        return True

    def finish(self) -> None:
        """Put the next key in the place of the one in use, which is kept.

        Raises:
            UsageError: there is no next key, or another one is kept.
            ConfigurationError: a key can't be read, or a file not be written.
        """
        if not self.next.exists():
            left = "what is left to do is --drop-old" if self.old.exists() else "the step before this one makes it"
            msg = f"There is no {self.next}: {left}."
            raise UsageError(msg)
        self.halves(self.next, self.current)  # what can't be used must not take the place
        if not self.old.exists():
            problem = create(self.old, self.current.read_bytes())
            if problem is not None:
                raise problem
        elif not self._is_kept():
            msg = f"{self.old} is another key than {self.current}, left from an earlier rotation. Delete it first."
            raise UsageError(msg)
        problem = self._switch()
        if problem is not None:
            raise problem

    def drop_old(self) -> None:
        """Delete the key that was in use before.

        Raises:
            UsageError: there is none, or it is still in use.
            ConfigurationError: the key in use can't be read, or the file not be deleted.
        """
        if not self.old.exists():
            msg = f"There is no {self.old}: nothing is left to drop."
            raise UsageError(msg)
        if self._is_kept():
            msg = f"{self.old} is a copy of {self.current}, which is still in use: the step before this is --finish."
            raise UsageError(msg)
        try:
            self.old.unlink()
        except OSError as failure:
            problem = unwritable(self.old, failure)
        else:
            sync_directory(self.old)
            return
        raise problem

    def _is_kept(self) -> bool:
        """Whether what is kept is the key in use: then the switch is still to come."""
        old, current = self.halves(self.old, self.current)
        return thumbprint(old) == thumbprint(current)

    def _switch(self) -> ConfigurationError | None:
        """One rename, to which the next key comes with the owner and the permissions of the one before."""
        try:
            before, after = self.current.stat(), self.next.stat()
            if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
                os.chown(self.next, before.st_uid, before.st_gid)
            self.next.chmod(stat.S_IMODE(before.st_mode))
            self.next.replace(self.current)
        except OSError as failure:
            return unwritable(self.current, failure)
        sync_directory(self.current)
        return None


def _alike(half: PublicHalf) -> Algorithm:
    """What a key of the same kind is made for."""
    return _BY_CURVE.get(half.get("crv"), Algorithm.RS256)


def _bits(half: PublicHalf, algorithm: Algorithm | None) -> int | None:
    """The size of the next key: that of this one, if both are RSA."""
    both = half["kty"] == "RSA" and algorithm in (None, Algorithm.RS256, Algorithm.PS256)
    return bits_of(half) if both else None
