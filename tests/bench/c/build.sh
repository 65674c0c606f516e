#!/bin/sh
# Compiles the clients of this folder into target/bench, against the library in target/release and, where the system has it, C++ gRPC.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../../.." && pwd)
library=$root/target/release
out=$root/target/bench

if [ ! -e "$library/liblinkspan.so" ] && [ ! -e "$library/liblinkspan.dylib" ]; then
    echo "build.sh: $library has no liblinkspan; run cargo build --release -p linkspan-ffi first" >&2
    exit 1
fi

warnings="-Wall -Wextra -pedantic -Werror"
mkdir -p "$out"
# shellcheck disable=SC2086 # the options are meant to be split
${CC:-cc} -std=c99 -D_POSIX_C_SOURCE=200809L $warnings -O2 -c -o "$out/command.o" "$here/command.c"
# shellcheck disable=SC2086
${CC:-cc} -std=c99 -D_POSIX_C_SOURCE=200809L $warnings -O2 -I"$root/include" -o "$out/c_linkspan" "$here/c_linkspan.c" \
    "$out/command.o" -L"$library" -llinkspan -Wl,-rpath,"$library" -pthread

if ! pkg-config --exists grpc++ 2>/dev/null; then
    rm -f "$out/cpp_grpc"
    echo "build.sh: no C++ gRPC here (Debian: libgrpc++-dev, pkg-config), cpp_grpc is skipped" >&2
    exit 0
fi
# shellcheck disable=SC2046,SC2086
${CXX:-c++} -std=c++17 $warnings -O2 $(pkg-config --cflags grpc++) -o "$out/cpp_grpc" "$here/cpp_grpc.cpp" "$out/command.o" \
    -Wl,--as-needed $(pkg-config --libs grpc++) -pthread
