"""`python -m venom_engine` is the command `venom-engine`."""

from venom_engine.cli.engine import main

if __name__ == "__main__":
    raise SystemExit(main())
