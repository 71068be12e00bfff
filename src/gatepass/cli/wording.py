"""The library's errors name arguments of Python; here each becomes the option that does the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepass.errors import GatepassError

__all__ = ["as_options", "in_options"]

_WORDS = tuple(
    (re.compile(pattern), option)
    for pattern, option in (
        (r"\bissuer='([^']*)'", r"--issuer \1"),
        (r"\b(?:http=)?TokenHttp\(verify='([^']*)'\)", r"--ca-file \1"),
        (r"\bhttp_options=\{'verify': \.\.\.\}", "--ca-file PATH"),
        (r"\ballow_(metadata|endpoint)_origins=\['([^']*)'\]", r"--allow-\1-origin \2"),
        (r"`allow_(metadata|endpoint)_origins`", r"--allow-\1-origin"),
        (r"^allow_(metadata|endpoint)_origins\[\d+\]", r"--allow-\1-origin"),
        (r"^resource_indicator\b", "--resource-indicator"),
        (r"^token_endpoint\b", "--token-endpoint"),
        (r"^(algorithm|audience|issuer|scopes)(?:\[\d+\])? (?=can't|does|has|holds|is|needs)", r"--\1 "),
        (
            r"^extra_parameters can't set (.*): each has an argument",
            r"--extra-parameter can't set \1: each has an option",
        ),
        (r" \(ValueError\)", ""),
        (r"\[Errno -?\d+\] ", ""),
        (r"\ballow_http=True", "--allow-http"),
        (r"\b(issuer|scopes)=\.\.\.", r"--\1"),
        (r"`(issuer|scopes)`(?! in)", r"--\1"),
        (r"\btoken_endpoint=\.\.\.", "--token-endpoint"),
        (r"\baudience=\.\.\.", "--assertion-audience"),
        (r"\b([Gg])ive FileStore\b", r"\1ive --store"),
        (r"\bGive a key that fits with dpop=\.\.\.", "Leave --dpop out; only the library takes other keys."),
        (r"\bdpop=True", "--dpop"),
        (r"\bhttp=TokenHttp\(cert=\('([^']*)', '([^']*)'\)\)", r"--cert-file \1 --cert-key-file \2"),
        (r"\bverify=.* or cert='([^']*)'", r"--ca-file or --cert-file \1"),
        (r"^cert='([^']*)'", r"--cert-file \1"),
        (r"^proxy=\.\.\.", "--proxy"),
        (r"^subject is needed", "--subject is needed"),
        (r"\bsubject='([^']*)'", r"--subject \1"),
        (r", or give region=\.\.\.| or socket=\.\.\.|: duration_s=\.\.\.", ""),
        (r"^resource (?=does|has|holds|is)", "The URL "),
    )
)

_ADVICE = {
    "key_password_missing": "The password: --private-key-password-file PATH or --private-key-password-env NAME.",
    "subject_missing": "Or keep no token: --no-store.",
    "issuer_not_listed": (
        "It was given by --issuer, GATEPASS_ISSUER or gatepass.toml. Is it the slash at the end alone that differs? "
        "Then --tolerate-issuer-slash helps."
    ),
    "issuer_mismatch": "Is it the slash at the end alone that differs? Then --tolerate-issuer-slash helps.",
}


def as_options(error: GatepassError) -> str:
    """What an error says, in the words of the command line."""
    said = in_options(str(error))
    advice = _ADVICE.get(error.code)
    return f"{said}\n{advice}" if advice else said


def in_options(text: str) -> str:
    """A text of the library's, with options instead of arguments."""
    for pattern, option in _WORDS:
        text = pattern.sub(option, text)
    return text
