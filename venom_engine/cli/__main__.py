"""`python -m venom_engine.cli` is the command `venom`."""

from venom_engine.cli.venom import main

if __name__ == "__main__":
    raise SystemExit(main())
