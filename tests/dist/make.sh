#!/bin/sh
# Fills dist/ from what `make build` left: the wheel, the npm tarballs, the header, the shared and the static library.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
rm -rf dist
mkdir -p dist/include dist/lib

install -m 644 include/linkspan.h dist/include/
install -m 755 target/release/liblinkspan.so dist/lib/
install -m 644 target/release/liblinkspan.a dist/lib/
.tools/venv/bin/maturin build --quiet --release --out dist \
    --manifest-path bindings-python/Cargo.toml --interpreter .tools/venv/bin/python
(cd bindings-node && npm run pack)

ls -l dist dist/include dist/lib
