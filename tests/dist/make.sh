#!/bin/sh
# Fills dist/ from what `make build` left: the wheel, the npm tarballs, the header, the shared and the static library.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
rm -rf dist
mkdir -p dist/include dist/lib

cp include/linkspan.h dist/include/
cp target/release/liblinkspan.so target/release/liblinkspan.a dist/lib/
.tools/venv/bin/maturin build --quiet --release --out dist \
    --manifest-path bindings-python/Cargo.toml --interpreter .tools/venv/bin/python
(cd bindings-node && npm run pack)

ls -l dist dist/include dist/lib
