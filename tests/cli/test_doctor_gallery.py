"""The doctor against every broken server of the gallery: each is named correctly, and what mends it is named, too.

What is correct stands in the table of docs/doctor.md.
"""

from __future__ import annotations

import ast
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from cli.doctor_cases import examined, is_complete, warnings

from gatepass.cli.doctor import causes
from gatepass.cli.doctor.outline import STEPS
from gatepass.cli.doctor.page import page
from gatepass.cli.doctor.reach import FlawId
from gatepass.cli.doctor.report import as_json
from gatepass.cli.doctor.terminal import Sheet
from gatepass.testing import gallery

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
ROW = re.compile(
    "\\| `([a-z0-9-]+)` \\| (?:`([a-z-]+)`|\N{EN DASH}) \\| (?:`([a-z_]+)`|\N{EN DASH})( \\(warning\\))? \\|"
)
ROWS = {row[1]: row for row in map(ROW.match, PAGE.read_text().splitlines()) if row}
AT_ONCE = 4


def examine(name):
    """The report, the one after a complete fix, what mends it, what is secret, and how many tokens were wanted."""
    with gallery.open(name) as stage:
        report = examined(stage.told)
        asked = stage.authorization_server.count("token")
        failure = report.first_failure
        options = failure.troubles[0].fix.options if failure else {}
        mended = examined({**stage.told, **options}) if is_complete(options) and stage.mend is not None else None
        secrets = [client.secret_file.read_text().strip() for client in stage.clients]
        secrets += [client.key_file.read_text().splitlines()[1] for client in stage.clients]
        return report, mended, stage.mend, secrets, asked


@pytest.fixture(scope="module")
def examinations(request):
    """One of each server that tests are about, by name."""
    items = (item for item in request.session.items if item.path == request.path)
    specs = (getattr(item, "callspec", None) for item in items)
    names = sorted({spec.params["name"] for spec in specs if spec is not None and "name" in spec.params})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(examine, name) for name in names}


def table(heading):
    """The rows under a heading of the page, cell by cell."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [re.split(r" \| ", line.strip("| ")) for line in section.splitlines() if line.startswith("| `")]


def diagnoses():
    """The names that causes give to troubles. Others are codes of errors."""
    found = set(get_args(FlawId))
    for file in Path(causes.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "id":
                found |= {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
    return found - {"unreachable"}


def test_the_page_has_each_step_as_it_is_shown():
    assert table("The steps") == [[f"`{name}`", *outline] for name, outline in STEPS.items()]


def test_the_page_has_each_diagnosis_and_no_other():
    named = [name.strip("`") for name, _ in table("The diagnoses")]
    assert named == sorted(set(named))
    passed_on = {"assertion_audience", "basic_not_accepted", "grant_not_allowed", "grant_not_offered"}
    assert set(named) == diagnoses() | passed_on | {"token_type_invalid"}


def test_the_page_has_a_row_for_each_server_of_the_gallery_and_no_other():
    assert list(ROWS) == [recipe.name for recipe in gallery.RECIPES]


@pytest.mark.parametrize("name", [recipe.name for recipe in gallery.RECIPES])
class TestEveryOne:
    def test_what_is_wrong_is_named_correctly(self, name, examinations):
        report, *_ = examinations[name].result()
        _, step, diagnosis, is_warning = ROWS[name].groups()
        failure = report.first_failure
        if is_warning:
            assert failure is None
            assert (step, diagnosis) in warnings(report)
        elif step is None:
            assert report.verdict == "ok"
        else:
            assert (failure.id, failure.troubles[0].id) == (step, diagnosis)
            assert failure.exit_code in (3, 4, 5, 6)

    def test_what_mends_it_is_what_the_fix_names(self, name, examinations):
        report, mended, mend, *_ = examinations[name].result()
        if not mend:
            return
        fix = report.first_failure.troubles[0].fix
        assert set(mend) <= set(fix.options)
        if mended is not None:
            assert mended.first_failure is None
            assert fix.options == mend

    def test_what_was_tried_got_in(self, name, examinations):
        report, mended, *_ = examinations[name].result()
        tried = [trouble for step in report.steps for trouble in step.troubles if trouble.fix.tried]
        assert len(tried) <= 1
        assert not tried or mended.first_failure is None

    def test_no_credential_goes_to_a_server_that_is_not_trusted(self, name, examinations):
        report, *_, asked = examinations[name].result()
        failure = report.first_failure
        if failure is not None and failure.id in ("resource-metadata", "issuer-connection", "server-metadata"):
            assert asked == 0
            assert {step.id for step in report.steps if step.verdict == "skipped"} >= {"token", "contents", "call"}

    def test_no_secret_and_no_token_is_shown(self, name, examinations, capsys):
        report, _, _, secrets, _ = examinations[name].result()
        sheet = Sheet(quiet=False)
        sheet.begin(report.url, report.client)
        for step in report.steps:
            sheet.step(step)
        sheet.end(report)
        written = json.dumps(msgspec.to_builtins(as_json(report)))
        for shown in (capsys.readouterr().out, written, page(report)):
            assert report.url in shown
            assert not [secret for secret in (*secrets, "eyJ") if secret in shown]
