"""`python -m gatepass` is the command `gatepass`."""

from __future__ import annotations

from gatepass.cli import main

if __name__ == "__main__":
    main()
