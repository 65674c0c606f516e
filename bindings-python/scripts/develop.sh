#!/bin/sh
# Builds the native module (release) and installs the package into .tools/venv, editable: Python files are used in place.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv="$root/.tools/venv"

# One at a time: two installers in one environment take each other's files away.
if [ -z "${LINKSPAN_VENV_LOCKED:-}" ] && command -v flock >/dev/null; then
    mkdir -p "$root/.tools"
    LINKSPAN_VENV_LOCKED=1 exec flock "$root/.tools/venv.lock" "$0" "$@"
fi

"$root/bindings-python/scripts/venv.sh"
cd "$root/bindings-python"
VIRTUAL_ENV="$venv" exec "$venv/bin/maturin" develop --release --quiet "$@"
