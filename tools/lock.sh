#!/bin/sh
# Writes the locked dependencies, with hashes and without the address of any registry.
# lock.sh PYTHON LOCKFILE [--upgrade]. The oldest Python that we support locks: its set of packages
# holds those of the newer ones.
set -eu
python=$1 lock=$2
shift 2
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "Lock with Python 3.11, the oldest that is supported: make lock PYTHON=python3.11" >&2
    exit 1
}
tools=.cache/lock
[ -x "$tools/bin/pip-compile" ] || {
    "$python" -m venv --clear "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip pip-tools
}
CUSTOM_COMPILE_COMMAND="make lock" "$tools/bin/pip-compile" --quiet --generate-hashes --strip-extras \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
    --extra engine --extra console "$@" --output-file "$lock" pyproject.toml requirements/dev.in
