"""Makes .venv from the locked dependencies, and puts this tree into it. Run by make, by any Python.

`python3 tools/install.py VENV LOCK deps|package`. The syntax stays old on purpose: a Python that is
too old must live long enough to say so.
"""

import os
import re
import subprocess
import sys

WANTED = (3, 11)


def main(venv: str, lock: str, step: str) -> int:
    """Do one step. The exit code."""
    if step == "package":
        return _pip(venv, ["--no-deps", "--no-build-isolation", "--no-index", "--editable", "."], 0)
    problem = _problem()
    if problem:
        sys.stderr.write(problem + "\n")
        return 1
    with open(lock, encoding="utf-8") as file:
        count = len(re.findall(r"^[a-z0-9].*==", file.read(), re.MULTILINE | re.IGNORECASE))
    _say("Making {} with Python {}.{}.{}".format(venv, *sys.version_info[:3]))
    subprocess.check_call([sys.executable, "-m", "venv", "--clear", venv])
    _say("Installing {} locked packages; a minute or so, and only when the lock changes".format(count))
    return _pip(venv, ["--require-hashes", "-r", lock], count)


def _problem() -> str:
    """What hinders this Python, and what to do about it; empty: nothing."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < WANTED:
        return (
            "Venom needs Python {0}.{1} or newer, and {2} is {3}.\n"
            "Install a newer one, or name it: make PYTHON=/path/to/python{0}.{1} ..."
        ).format(WANTED[0], WANTED[1], sys.executable, version)
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "{} has no venv module, so no virtual environment can be made.\n"
            "On Debian and Ubuntu: sudo apt install python3-venv, then run make again."
        ).format(sys.executable)
    return ""


def _pip(venv: str, arguments: "list[str]", count: int) -> int:
    """Run pip quietly; a counter on a terminal, and everything it said when it fails."""
    pip = [os.path.join(venv, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    environment = dict(os.environ, PYTHONUNBUFFERED="1", PIP_NO_INPUT="1")
    said = []  # type: list[str]
    process = subprocess.Popen(
        pip + arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        said.append(line)
        if line.startswith("Collecting "):
            seen += 1
            _count("  {} of {}: {}".format(seen, count, line.split()[1].split("==")[0]))
        elif line.startswith("Installing collected"):
            _count("  unpacking")
    _count("")
    code = process.wait()
    if code:
        sys.stderr.write("".join(said[-40:]))
        sys.stderr.write("The packages could not be installed (see above). Nothing else was changed.\n")
    return code


def _say(text: str) -> None:
    sys.stderr.write(text + " ...\n")
    sys.stderr.flush()


def _count(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
