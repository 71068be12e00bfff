"""The page of `gatepass doctor --html`, as a real browser shows it: in light and dark, wide and narrow."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest
from cli.doctor_browser import CHROMIUM, Browser
from cli.doctor_cases import examined

from gatepass.cli.doctor.page import page
from gatepass.cli.doctor.report import Exchange, Fix, Side, Trouble, Verdict
from gatepass.testing import gallery

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
SHOWN = (None, "issuer-with-trailing-slash", "missing-scope", "mcp-server-down", "token-without-expiry")
EVIL = "</td></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&`x`"
VOID = {"meta"}

CONTRAST = """
(() => {
  const channels = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const seen = channels(getComputedStyle(at).backgroundColor);
      if (seen.length === 3 || seen[3] > 0) return seen;
    }
    return [255, 255, 255];
  };
  const band = text => {
    const of_step = text.parentElement.querySelector(".band");
    return of_step ? channels(getComputedStyle(of_step).fill) : ground(text);
  };
  const worst = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const drawn = element instanceof SVGElement;
    const [ink, paper] = [channels(drawn ? style.fill : style.color), drawn ? band(element) : ground(element)];
    const [light, dark] = [luminance(ink), luminance(paper)].sort((a, b) => b - a);
    worst.push([(light + 0.05) / (dark + 0.05), element.textContent.trim().slice(0, 40)]);
  }
  return worst.sort((a, b) => a[0] - b[0]).slice(0, 3).concat([[worst.length, "texts"]]);
})()
"""
"""The worst contrasts of text and its background (WCAG 2, 1.4.3), and how many texts there are."""

OUTSIDE = """
[...document.querySelectorAll("svg text")].filter(text => {
  const box = text.getBBox(), frame = text.ownerSVGElement.viewBox.baseVal;
  return box.x < 0 || box.x + box.width > frame.width || box.y + box.height > frame.height;
}).map(text => text.textContent)
"""
"""Texts of the picture that are cut off."""


@pytest.fixture(scope="module")
def reports():
    found = {}
    for name in SHOWN:
        with gallery.open(name) as stage:
            found[name] = examined(stage.told)
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a report."""

    def opened(report, **how):
        file = tmp_path / "report.html"
        file.write_text(page(report))
        browser.complaints.clear()
        browser.requests.clear()
        browser.open(file.as_uri(), **how)
        assert browser.complaints == []
        assert browser.requests == [file.as_uri()]
        return browser

    return opened


@needs_chromium
class TestInABrowser:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("name", SHOWN)
    def test_every_word_stands_out_from_what_is_behind_it(self, opened, reports, name, scheme):
        browser = opened(reports[name], scheme=scheme)
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        *worst, (count, _) = browser.run(CONTRAST)
        assert count > 100
        assert [text for contrast, text in worst if contrast < 4.5] == []

    def test_light_and_dark_are_what_they_say(self, opened, reports, tmp_path):
        ground = "getComputedStyle(document.body).backgroundColor"
        light = opened(reports[None], scheme="light").run(ground)
        bright = opened(reports[None], scheme="light").screenshot(tmp_path / "light.png")
        dark = opened(reports[None], scheme="dark").run(ground)
        assert bright != opened(reports[None], scheme="dark").screenshot(tmp_path / "dark.png")
        assert (light, dark) == ("rgb(255, 255, 255)", "rgb(15, 20, 25)")

    @pytest.mark.parametrize("width", [1100, 390])
    @pytest.mark.parametrize("name", SHOWN)
    def test_nothing_is_wider_than_the_window_and_no_text_of_the_picture_is_cut_off(self, opened, reports, name, width):
        browser = opened(reports[name], scheme="light", width=width)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(OUTSIDE) == []

    def test_what_is_wrong_is_open_to_be_read_and_the_rest_can_be_opened(self, opened, reports):
        browser = opened(reports["issuer-with-trailing-slash"], scheme="light")
        assert browser.run("[...document.querySelectorAll('details[open]')].map(each => each.id)") == [
            "server-metadata"
        ]
        browser.run("document.querySelector('#token summary').click()")
        assert browser.run("document.querySelector('#token').open")

    def test_the_picture_has_two_arrows_for_each_exchange_in_the_colour_of_its_verdict(self, opened, reports):
        report = reports["issuer-with-trailing-slash"]
        browser = opened(report, scheme="light")
        exchanges = [each for step in report.steps for each in step.exchanges]
        arrows = sum(1 if each.to == "here" else 2 for each in exchanges)
        assert browser.run("document.querySelectorAll('svg .arrow').length") == arrows
        red = "each => getComputedStyle(each).stroke === 'rgb(197, 34, 31)'"
        assert browser.run(f"[...document.querySelectorAll('svg .arrow')].filter({red}).length") == 2 * sum(
            each.verdict == "failed" for each in exchanges
        )

    def test_what_a_server_says_stays_text(self, opened, reports):
        browser = opened(spoilt(reports["missing-scope"]), scheme="light")
        assert browser.run("document.querySelectorAll('script, img, a, iframe').length") == 0
        assert EVIL.replace("`", "") in browser.run("document.body.textContent").replace("`", "")
        assert browser.run(OUTSIDE) == []


def test_a_page_holds_nothing_but_its_own_elements(reports):
    seen = Elements()
    seen.feed(page(spoilt(reports["missing-scope"])))
    assert seen.open == []
    assert not {"script", "img", "a", "iframe", "link", "object", "form"} & set(seen.names)
    assert not [name for name, _ in seen.attributes if name in ("style", "href", "src") or name.startswith("on")]


def test_a_page_may_use_its_own_style_and_nothing_else(reports):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page(reports[None]))
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; base-uri 'none'; form-action 'none'", policy
    )


class Elements(HTMLParser):
    """What stands in a page: the names of its elements, their attributes, and those that are never closed."""

    def __init__(self):
        super().__init__()
        self.names, self.attributes, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def spoilt(report):
    """The report, with a server that says evil things wherever it can say something."""
    side = Side(EVIL, ((EVIL, EVIL),), EVIL)
    exchanges = (
        Exchange(to="mcp_server", asked=side, answered=side, verdict=Verdict.FAILED),
        Exchange(to="here", asked=side, answered=side),
    )
    trouble = Trouble(id=EVIL, cause=EVIL, fix=Fix(EVIL, {"scopes": EVIL, "url": EVIL}))
    steps = [
        msgspec.structs.replace(step, exchanges=exchanges, troubles=(trouble,), title=EVIL, wants=EVIL, source=EVIL)
        for step in report.steps
    ]
    return msgspec.structs.replace(report, url=EVIL, client=EVIL, issuer=EVIL, steps=tuple(steps))
