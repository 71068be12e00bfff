"""The benchmark runs and prints its table; what the figures are is not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_quick_run_of_one_measure_prints_its_table_and_writes_it_as_json(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "import", "--json", str(file)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    header, first = (line for line in done.stdout.splitlines() if line.startswith(("measure ", "import, against")))
    assert header.split() == ["measure", "fixed", "header", "gatepass", "official", "SDK", "aim"]
    assert first.endswith(("met", "missed"))
    assert json.loads(file.read_text())[0]["measure"] == "import, against `import httpx2`"
