#!/bin/sh
# Builds the echo server and the clients and installs the peers, below this folder and the repository's target and .tools.
# The library, the Python module and the addon are there already: `make build`. Quick when nothing has changed.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
venv=$root/.tools/venv
requirements=$root/tests/bench/python/requirements.txt
stamp=$venv/.linkspan-bench-requirements

# One at a time, as in bindings-python/scripts/venv.sh: two installers in one environment take each other's files away.
locked() {
    if command -v flock > /dev/null; then flock "$root/.tools/venv.lock" "$@"; else "$@"; fi
}

cd "$root"
cargo build --release -p linkspan-bench
tests/bench/c/build.sh
if ! cmp -s "$requirements" "$stamp"; then
    locked "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$stamp"
fi
make --no-print-directory --silent tests/bench/node/node_modules/.package-lock.json
