#!/bin/sh
# Builds the native module (release) and installs the package into .tools/venv, editable: Python files are used in place.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/bindings-python/scripts/venv.sh"
cd "$root/bindings-python"
VIRTUAL_ENV="$root/.tools/venv"
export VIRTUAL_ENV
exec "$VIRTUAL_ENV/bin/maturin" develop --release --quiet "$@"
