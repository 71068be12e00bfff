"""The library's errors in the words of the command line, and the exit code of each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import gatepass
from gatepass.cli.exits import Exit, ToolError, UsageError, exit_of, explain
from gatepass.cli.voice import printable
from gatepass.cli.wording import in_options

LIBRARY = Path(gatepass.__file__).parent
ARGUMENT = re.compile(r"\b[a-z_]+=(?:\.\.\.|\[|'|\{)|`[a-z]+_origins`")
NOT_ON_THE_COMMAND_LINE = {
    "engine/token_http.py": ("verify='x' would",),  # --ca-file is read before a TokenHttp is made of it
    "stores/key_value.py": ("",),
    # The command asks no person to sign in: that way in is the library's.
    "engine/person.py": ("",),
    "profiles/authorization_code.py": ("",),
    "protocol/registration.py": ("",),
    "registration.py": ("",),
}


class TestWording:
    @pytest.mark.parametrize(
        ("said", "wanted"),
        [
            ("Name it with issuer=...", "Name it with --issuer"),
            ("Pin it with issuer='https://a.example', so", "Pin it with --issuer https://a.example, so"),
            ("give it: http=TokenHttp(verify='ca.pem').", "give it: --ca-file ca.pem."),
            ("give it: http_options={'verify': ...}.", "give it: --ca-file PATH."),
            ("with allow_metadata_origins=['https://m.example'].", "with --allow-metadata-origin https://m.example."),
            ("allow the origin in `allow_endpoint_origins`.", "allow the origin in --allow-endpoint-origin."),
            ("allow_endpoint_origins[0] does not start", "--allow-endpoint-origin does not start"),
            ("or allow_http=True, if the network", "or --allow-http, if the network"),
            ("resource_indicator is no absolute URI", "--resource-indicator is no absolute URI"),
            ("token_endpoint does not start", "--token-endpoint does not start"),
            ("algorithm needs a private key", "--algorithm needs a private key"),
            ("scopes[1] is not a scope.", "--scopes is not a scope."),
            (
                "extra_parameters can't set a: each has an argument of",
                "--extra-parameter can't set a: each has an option of",
            ),
            ("can't be reached: [Errno 111] Connection refused.", "can't be reached: Connection refused."),
            ("proxy=... can't be used (ValueError).", "--proxy can't be used."),
            ("Configure `issuer` if you trust it", "Configure --issuer if you trust it"),
            ("Name it with token_endpoint=...", "Name it with --token-endpoint"),
            ("or set audience=... to the one", "or set --assertion-audience to the one"),
            ("or leave `scopes` out.", "or leave --scopes out."),
            ("or give FileStore another directory.", "or give --store another directory."),
            ("give dpop=True.", "give --dpop."),
            (
                "a certificate: give http=TokenHttp(cert=('c.pem', 'k.pem')).",
                "a certificate: give --cert-file c.pem --cert-key-file k.pem.",
            ),
            ("verify=True or cert='c.pem' can't be loaded", "--ca-file or --cert-file c.pem can't be loaded"),
            ("cert='c.pem' can't be read", "--cert-file c.pem can't be read"),
            ("proxy=... can't be used", "--proxy can't be used"),
            ("subject is needed: so. Say: subject='alice'.", "--subject is needed: so. Say: --subject alice."),
            ("Set AWS_REGION, or give region=...", "Set AWS_REGION"),
            ("resource has no host", "The URL has no host"),
            ("to correct `resource` in its metadata.", "to correct `resource` in its metadata."),
            ("The resource chose the server", "The resource chose the server"),
        ],
    )
    def test_an_argument_becomes_the_option_that_does_the_same(self, said, wanted):
        assert in_options(said) == wanted

    def test_no_error_of_the_library_speaks_python_on_the_command_line(self):
        spoken = [
            (where, text)
            for path in sorted(LIBRARY.rglob("*.py"))
            if (where := path.relative_to(LIBRARY).as_posix()).partition("/")[0] not in ("cli", "testing")
            for text in messages(path)
            if ARGUMENT.search(text) and not text.startswith(NOT_ON_THE_COMMAND_LINE.get(where, ("\0",)))
        ]
        assert spoken, "the search finds nothing any more"
        assert [(where, text) for where, text in spoken if ARGUMENT.search(in_options(text))] == []


def messages(path: Path) -> list[str]:
    """The sentences in a file that a person may get to read: strings with a space; no docstrings, and no reprs."""
    tree = ast.parse(path.read_text())
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(part.value if isinstance(part, ast.Constant) else "'x'" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (inner | documented):
            texts.append(node.value)
    return [text for text in texts if " " in text and not re.match(r"\w+\(", text)]


class TestExits:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (ToolError("no"), 1),
            (UsageError("no"), 2),
            (gatepass.ConfigurationError("no"), 3),
            (gatepass.StoreError("no"), 3),
            (gatepass.RemoteError("no", by="authorization_server"), 4),
            (gatepass.RemoteError("no"), 4),
            (gatepass.RemoteError("no", by="resource_server"), 5),
            (gatepass.UnreachableError("no"), 6),
            (gatepass.GatepassError("no"), 70),
            (KeyError("no"), 70),
        ],
    )
    def test_each_kind_of_error_has_its_code(self, error, code):
        assert exit_of(error) == code

    def test_an_error_that_is_not_ours_is_not_quoted(self):
        assert "canary" not in explain(ValueError("canary"))
        assert "--debug" in explain(ValueError("canary"))

    def test_advice_of_the_command_line_stands_on_a_line_of_its_own(self):
        error = gatepass.ConfigurationError("This key is encrypted.", code="key_password_missing")
        first, second = explain(error).splitlines()
        assert first == "This key is encrypted."
        assert "--private-key-password-file" in second

    def test_codes_are_those_of_the_documentation(self):
        assert [Exit.USAGE, Exit.CONFIGURATION, Exit.INTERRUPTED] == [2, 3, 130]


class TestPrintable:
    def test_what_would_steer_a_terminal_is_taken_out(self):
        assert printable("a\x1b[31mb\rc\u202ed\x9be\nf\tg é 👩") == "a\ufffd[31mb\ufffdc\ufffdd\ufffde\nf\tg é 👩"
