#!/bin/sh
# Compiles every C program of this folder, the examples and the README's program into target/c, against the library in
# target/release. Runs nothing.
# LINKSPAN_PROFILE=debug takes the debug library instead.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
profile=${LINKSPAN_PROFILE:-release}
library=$root/target/$profile
out=$root/target/c

if [ ! -e "$library/liblinkspan.so" ] && [ ! -e "$library/liblinkspan.dylib" ]; then
    echo "build.sh: $library has no liblinkspan; run cargo build --release -p linkspan-ffi first" >&2
    exit 1
fi

warnings="-Wall -Wextra -pedantic -Werror"
mkdir -p "$out"
# The program of the README is a program too.
sed -n '/^```c$/,/^```$/p' "$root/ffi/README.md" | sed '/^```/d' >"$out/readme.c"

for source in "$root"/tests/c/*.c "$root"/ffi/examples/*.c "$out/readme.c"; do
    # The programs use POSIX beside C99; the header is checked without it in header_c99.c.
    case $source in
        */header_c99.c) posix= ;;
        *) posix=-D_POSIX_C_SOURCE=200809L ;;
    esac
    # shellcheck disable=SC2086 # the options are meant to be split
    ${CC:-cc} -std=c99 $posix $warnings -O1 -g -I"$root/include" -o "$out/$(basename "$source" .c)" "$source" \
        -L"$library" -llinkspan -Wl,-rpath,"$library" -pthread
done
for source in "$root"/tests/c/*.cpp; do
    # shellcheck disable=SC2086 # the options are meant to be split
    ${CXX:-c++} -std=c++17 $warnings -O1 -g -I"$root/include" -o "$out/$(basename "$source" .cpp)" "$source" \
        -L"$library" -llinkspan -Wl,-rpath,"$library" -pthread
done
