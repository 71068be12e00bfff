"""The benchmark runs, prints its table and writes its page; what the figures are is not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.contenders import CONTENDERS, FIXED, GATEPASS
from benchmarks.measures import ALL
from benchmarks.plots import draw
from benchmarks.results import NOTHING, Result, as_table
from benchmarks.run import BEGIN, END, Run

ROOT = Path(__file__).parent.parent
PAGE = f"# Figures\n\n{BEGIN}\nold\n{END}\n\nWhat they mean.\n"


def run(*results: Result) -> Run:
    return Run(packages={"gatepass": "1.0"}, python="3.11", system="Linux", cores=2, quick=False, results=list(results))


def row(name: str, *, figure: float | tuple[float, ...] = 1.0, **changes: object) -> Result:
    """A row in which all contenders are alike, but for what is said."""
    figures = {FIXED: figure, **dict.fromkeys(CONTENDERS, figure), **changes.pop("figures", {})}
    return Result(name=name, measure=name, figures=figures, **changes)


def test_a_quick_run_of_two_measures_prints_their_table_and_writes_json_page_and_pictures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    file = tmp_path / "run.json"

    measures = ["--only", "hot-path", "--only", "trouble"]
    command = [sys.executable, "-m", "benchmarks", "--quick", *measures, "--json", file, "--docs", page]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    head, _, *rows = (line.strip("|").split("|") for line in printed.splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in head] == ["", FIXED, *CONTENDERS, "aim"]
    names = ["hot-path-sync", "hot-path-async", "as-503", "revoked", "rs-401"]
    assert [each["name"] for each in json.loads(file.read_text())["results"]] == names
    assert len(rows) == len(names)
    assert page.read_text() == PAGE.replace("\nold\n", f"\n\n{printed}\n")
    drawn = {picture.name for picture in (tmp_path / "pictures").iterdir()}
    assert drawn == {"bench-hot-path.svg", "bench-trouble.svg"}


def test_a_run_that_was_kept_is_shown_again_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = run(row("herd-requests", figure=(1.0, 2.0, 0.0), form="{:.0f} + {:.0f} + {:.0f}"))
    kept.write(tmp_path / "run.json")
    monkeypatch.setattr(sys, "argv", ["", "--from", str(tmp_path / "run.json"), "--plots", str(tmp_path)])

    main()

    printed = capsys.readouterr().out
    assert printed == kept.text + "\n"
    assert "1 + 2 + 0" in printed
    assert (tmp_path / "bench-herd.svg").exists()


def test_a_measure_that_is_unknown_is_refused_with_the_names_of_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["", "--only", "guess"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert all(name in said for name in ALL)


@pytest.mark.parametrize("text", ["# Figures\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_a_place_for_figures_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="no place for figures"):
        run().put_into(page)
    assert page.read_text() == text


def test_the_page_of_the_docs_has_a_place_for_figures_and_shows_every_picture(tmp_path: Path) -> None:
    page = ROOT / "docs" / "benchmarks.md"
    (copy := tmp_path / "page.md").write_text(page.read_text())
    run().put_into(copy)
    draw(everything(), tmp_path)
    assert {picture.name for picture in tmp_path.glob("*.svg")} == set(shown_on(page))


def shown_on(page: Path) -> list[str]:
    return [part.partition(")")[0] for part in page.read_text().split("](pictures/")[1:]]


def everything() -> Run:
    """A run with every row that is drawn."""
    bars = ("hot-path-sync", "hot-path-async", "as-503", "rs-401", "revoked", "import", "start-async", "memory")
    streams = ("short-tokens-p99", "short-tokens-401s", "short-tokens-minted")
    growing = ("identities-1", "identities-10000", "crowd-1", "crowd-10000")
    return run(row("herd-requests", figure=(1.0, 2.0, 0.0)), *(row(name) for name in (*bars, *streams, *growing)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"aim": "1", "met": True}, None),
        ({"aim": "0.9", "met": False}, "- row: 1.00 for an aim of 0.9\n"),
        ({"figures": {"authlib": 0.97}}, None),
        ({"figures": {"authlib": 0.9, "httpx-auth": 2.0}}, "- row: 1.00; authlib 0.90\n"),
        ({"figures": {"authlib": 0.9}, "notes": {"authlib": "A guess."}}, "- row: 1.00; authlib 0.90¹\n"),
        (
            {"figures": {GATEPASS: 3.0}, "aim": "2", "met": False, "form": "{:.0f}"},
            "- row: 3 for an aim of 2; official",
        ),
    ],
)
def test_the_table_is_followed_by_all_that_gatepass_loses(changes: dict[str, object], said: str | None) -> None:
    text = as_table([row("row", **changes)]) + "\n"
    assert ("Where an aim is missed" in text) == (said is not None)
    assert said is None or said in text


def test_a_contender_without_a_figure_has_a_footnote_that_says_why_once() -> None:
    reason = "It has no such thing."
    figures = {GATEPASS: 1.0}
    rows = [Result(name=name, measure=name, figures=figures, notes={"authlib": reason}) for name in ("one", "two")]
    text = as_table(rows)
    assert text.count(f"{NOTHING}¹ |") == 2
    assert text.count(reason) == 1
