"""What the console's tests share: engines inside a console end at once, whatever they still run."""

import pytest


@pytest.fixture(autouse=True)
def _engines_do_not_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that ends gives running tasks no time to end by themselves."""
    monkeypatch.setenv("DRAIN_SECONDS", "0")
