#!/bin/sh
# Makes .tools/venv with the pinned tools that build and test the Python package.
# Quick when it is already as this file wants it: the stamp holds the pins it was made from.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv="$root/.tools/venv"
requirements="$root/bindings-python/scripts/requirements.txt"
stamp="$venv/.linkspan-requirements"
interpreter=${PYTHON:-python3}

# One at a time: two installers in one environment take each other's files away.
if [ -z "${LINKSPAN_VENV_LOCKED:-}" ] && command -v flock >/dev/null; then
    mkdir -p "$root/.tools"
    LINKSPAN_VENV_LOCKED=1 exec flock "$root/.tools/venv.lock" "$0" "$@"
fi

if [ -x "$venv/bin/python" ] && cmp -s "$requirements" "$stamp"; then
    exit 0
fi

"$interpreter" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "venv.sh: $interpreter is older than Python 3.10; set PYTHON to a newer interpreter" >&2
    exit 1
}
mkdir -p "$root/.tools"
[ -x "$venv/bin/python" ] || "$interpreter" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
cp "$requirements" "$stamp"
