"""`python -m venom_tui` is `venom-tui`."""

from venom_tui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
