"""The sequence as a picture: three lanes, a band for each step, and two arrows for each exchange (SVG)."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatepass.cli.doctor.report import Verdict

if TYPE_CHECKING:
    from gatepass.cli.doctor.report import Exchange, Party, Report, Step

__all__ = ["MARKS", "picture"]

MARKS = {
    Verdict.OK: "\N{CHECK MARK}",
    Verdict.WARNING: "!",
    Verdict.FAILED: "\N{MULTIPLICATION X}",
    Verdict.SKIPPED: "\N{EN DASH}",
}

_WIDTH = 980
_MARGIN = 16
_LANES: dict[Party, int] = {"here": 110, "authorization_server": 545, "mcp_server": 860}
_LANE_WIDTH, _LANE_HEIGHT = 180, 46
_TOP = 84
_BAND, _ARROW, _LOOP, _GAP = 26, 26, 30, 12
_TIP = 7
_CHARS = {"here": 92, "authorization_server": 54, "mcp_server": 92}
"""How many characters of a label fit beside each arrow."""


def picture(report: Report) -> str:
    """The way in as an SVG element; its colours are those of the page's style sheet."""
    rows: list[str] = []
    y = _TOP
    for number, step in enumerate(report.steps, 1):
        drawn, y = _step(step, number, y)
        rows += drawn
    height = y + _MARGIN
    label = escape(f"Sequence of the way in to {report.url}", quote=True)
    lanes = [_lane(party, name, where, height) for party, name, where in _parties(report)]
    return "\n".join(
        [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">', *lanes, *rows, "</svg>"]
    )


def _parties(report: Report) -> tuple[tuple[Party, str, str], ...]:
    issuer = urlsplit(report.issuer or "").netloc or "not known"
    return (
        ("here", "You", report.client),
        ("authorization_server", "Authorization server", issuer),
        ("mcp_server", "MCP server", urlsplit(report.url).netloc),
    )


def _lane(party: Party, name: str, where: str, height: int) -> str:
    x = _LANES[party]
    left = x - _LANE_WIDTH // 2
    return (
        f'<line class="life" x1="{x}" y1="{_MARGIN + _LANE_HEIGHT}" x2="{x}" y2="{height - _MARGIN}"/>'
        f'<rect class="lane" x="{left}" y="{_MARGIN}" width="{_LANE_WIDTH}" height="{_LANE_HEIGHT}" rx="8"/>'
        f'<text class="who" x="{x}" y="{_MARGIN + 19}">{name}</text>'
        f'<text class="where" x="{x}" y="{_MARGIN + 36}">{_cut(where, 26)}</text>'
    )


def _step(step: Step, number: int, y: int) -> tuple[list[str], int]:
    """A band with the step's title, and its exchanges below; where the next one starts."""
    said = step.troubles[0].id if step.troubles else str(step.verdict)
    band = (
        f'<g class="{step.verdict}"><rect class="band" x="0" y="{y}" width="{_WIDTH}" height="{_BAND}"/>'
        f'<rect class="edge" x="0" y="{y}" width="4" height="{_BAND}"/>'
        f'<text class="title" x="{_MARGIN}" y="{y + 17}">{number}  {escape(step.title)}</text>'
        f'<text class="said" x="{_WIDTH - _MARGIN}" y="{y + 17}">{escape(said)} {MARKS[step.verdict]}</text></g>'
    )
    y += _BAND + _GAP
    rows = [band]
    if step.skipped is not None:
        rows.append(f'<text class="halo faint" x="{_LANES["here"] + 14}" y="{y + 6}">{_cut(step.skipped, 110)}</text>')
        y += _ARROW
    for exchange in step.exchanges:
        rows.append(_loop(exchange, y) if exchange.to == "here" else _arrows(exchange, y))
        y += _LOOP + _GAP if exchange.to == "here" else 2 * _ARROW + _GAP
    return rows, y


def _arrows(exchange: Exchange, y: int) -> str:
    """There, and back."""
    here, there = _LANES["here"], _LANES[exchange.to]
    most = _CHARS[exchange.to]
    asked, answered = exchange.asked.short or exchange.asked.text, exchange.answered.short or exchange.answered.text
    out, back = y + _ARROW - 10, y + 2 * _ARROW - 8
    return (
        f'<g class="{exchange.verdict}">'
        f'<path class="arrow" d="M{here} {out}H{there - _TIP}"/>{_tip(there, out, 1)}'
        f'<text class="halo" x="{here + 14}" y="{out - 7}">{_cut(asked, most)}</text>'
        f'<path class="arrow back" d="M{there} {back}H{here + _TIP}"/>{_tip(here, back, -1)}'
        f'<text class="halo came" x="{here + 14}" y="{back - 6}">{_cut(answered, most)}</text></g>'
    )


def _loop(exchange: Exchange, y: int) -> str:
    """What is asked of this machine itself."""
    here, most = _LANES["here"], _CHARS["here"]
    asked, answered = exchange.asked.short or exchange.asked.text, exchange.answered.short or exchange.answered.text
    said = f"{asked}: {answered}"
    return (
        f'<g class="{exchange.verdict}">'
        f'<path class="arrow" d="M{here} {y + 4}h26v16H{here + _TIP}"/>{_tip(here, y + 20, -1)}'
        f'<text class="halo" x="{here + 36}" y="{y + 16}">{_cut(said, most)}</text></g>'
    )


def _tip(x: int, y: int, way: int) -> str:
    """The head of an arrow that ends at x."""
    return f'<path class="tip" d="M{x} {y}l{-way * 9} -4.5v9z"/>'


def _cut(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}")
