#!/bin/sh
# Makes include/linkspan.h from the crate with the pinned generator. With --check it compares instead, and says how they differ.
set -eu

version=0.29.4
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
generator=$root/.tools/cargo/bin/cbindgen
header=$root/include/linkspan.h

if [ "$("$generator" --version 2>/dev/null || true)" != "cbindgen $version" ]; then
    cargo install --quiet --root "$root/.tools/cargo" --locked cbindgen --version "$version"
fi

made=$(mktemp)
trap 'rm -f "$made"' EXIT
(cd "$root/ffi" && "$generator" --quiet --config cbindgen.toml --output "$made")
# A negative number in a macro belongs in parentheses, which the generator leaves out.
sed -i -E 's/^(#define LINKSPAN_[A-Z0-9_]+) (-[0-9]+)$/\1 (\2)/' "$made"

case "${1:-}" in
    "") cat "$made" >"$header" ;;
    --check)
        diff -u "$header" "$made" || {
            echo "include/linkspan.h is not what ffi/ makes: run ffi/scripts/header.sh and commit the result" >&2
            exit 1
        }
        ;;
    *)
        echo "usage: header.sh [--check]" >&2
        exit 2
        ;;
esac
