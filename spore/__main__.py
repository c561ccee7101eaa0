"""`python -m spore` is `venom-spore`."""

from spore.cli import main

raise SystemExit(main())
