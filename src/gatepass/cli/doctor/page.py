"""The report as one page that stands alone: no script, nothing fetched, every word of a server's escaped."""

from __future__ import annotations

import datetime as dt
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from gatepass.cli.doctor.picture import MARKS, picture
from gatepass.cli.doctor.report import Verdict
from gatepass.cli.doctor.spelling import as_toml, as_typed

if TYPE_CHECKING:
    from gatepass.cli.doctor.report import Exchange, Fields, Report, Side, Step, Trouble

__all__ = ["page"]

_CODE = re.compile(r"`([^`]+)`")


def page(report: Report) -> str:
    """The whole page, ready to be attached to a ticket."""
    style = files("gatepass.cli.doctor").joinpath("page.css").read_text("utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    steps = "\n".join(_step(step, number) for number, step in enumerate(report.steps, 1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>gatepass doctor: {_text(report.url)}</title>
<style>{style}</style>
</head>
<body>
{_head(report)}
<h2>The way in</h2>
<figure>{picture(report)}</figure>
<h2>Step by step</h2>
<ol class="steps">
{steps}
</ol>
<footer>gatepass {_text(report.version)}. Secrets are masked; no token and no credential stands in this page.</footer>
</body>
</html>
"""


def _head(report: Report) -> str:
    failure = report.first_failure
    client = report.client or "A client"
    said = f"{client} does not get in" if failure else f"{client} gets in"
    trouble = _trouble(failure.troubles[0]) if failure else ""
    facts: Fields = (
        ("MCP server", report.url),
        ("Authorization server", report.issuer or "not known"),
        ("Stopped at", failure.title if failure else ""),
        ("Looked at", dt.datetime.fromtimestamp(report.at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
    )
    listed = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts if value)
    return f"""<header class="{report.verdict}">
<p class="kicker">gatepass doctor</p>
<h1><span class="mark">{MARKS[report.verdict]}</span> {_text(said)}</h1>
<dl>{listed}</dl>
{trouble}
</header>"""


def _step(step: Step, number: int) -> str:
    is_open = " open" if step.verdict in (Verdict.FAILED, Verdict.WARNING) else ""
    said = step.troubles[0].id if step.troubles else str(step.verdict)
    skipped = f"<p>{_text(step.skipped)}</p>" if step.skipped is not None else ""
    exchanges = "".join(map(_exchange, step.exchanges))
    troubles = "".join(map(_trouble, step.troubles))
    return f"""<li><details class="{step.verdict}" id="{_text(step.id)}"{is_open}>
<summary><span class="mark">{MARKS[step.verdict]}</span><span class="what">{number}. {_text(step.title)}</span>\
<span class="verdict">{_text(said)}</span></summary>
<div class="inside">{skipped}{exchanges}
<p><span class="label">wanted</span> {_prose(step.wants)} <span class="label">{_text(step.source)}</span></p>
{troubles}</div>
</details></li>"""


def _exchange(exchange: Exchange) -> str:
    return (
        f'<div class="exchange {exchange.verdict}">'
        f"{_side('asked', exchange.asked)}{_side('answered', exchange.answered)}</div>"
    )


def _side(label: str, side: Side) -> str:
    rows = "".join(
        f'<tr><td>{_text(name)}</td><td class="value">{_text(value)}</td></tr>' for name, value in side.fields
    )
    table = f"<table>{rows}</table>" if rows else ""
    return f'<p><span class="label">{label}</span> <span class="value">{_text(side.text)}</span></p>{table}'


def _trouble(trouble: Trouble) -> str:
    options = trouble.fix.options
    spelled = f"{as_typed(options)}\n\n# or in gatepass.toml\n{as_toml(options)}"
    code = f"<pre>{_text(spelled)}</pre>" if options else ""
    return (
        f'<div class="trouble {trouble.verdict}"><p><span class="name">{_text(trouble.id)}</span></p>'
        f'<p>{_prose(trouble.cause)}</p><p><span class="label">fix</span> {_prose(trouble.fix.said)}</p>{code}</div>'
    )


def _prose(text: str) -> str:
    """A sentence; what stands in backticks in it is code."""
    return _CODE.sub(r"<code>\1</code>", _text(text))


def _text(text: str) -> str:
    return escape(text, quote=True)
