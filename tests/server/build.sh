#!/bin/sh
# Builds the test servers: the fault server and its proxy, and grpc-go's interop server into .tools/bin; and fetches the balancers. Without Go
# the suites that need that one are skipped, visibly.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cargo build --quiet --release --manifest-path "$root/Cargo.toml" -p linkspan-faults
"$root/tests/server/balancers.sh"
if command -v mvn > /dev/null && command -v javac > /dev/null; then
    # One server less is no reason to build none; the suites say that it is missing.
    "$root/tests/server/java/build.sh" || echo "tests/server/build.sh: the interop server on grpc-java could not be built" >&2
else
    echo "tests/server/build.sh: a JDK and Maven are not installed; grpc-java's interop server will be skipped" >&2
fi
if ! command -v go > /dev/null; then
    echo "tests/server/build.sh: Go is not installed; suites against grpc-go will be skipped" >&2
    exit 0
fi
cd "$root/tests/server/go"
# Never fetch another toolchain behind the user's back.
GOTOOLCHAIN=local go build -o "$root/.tools/bin/interop-server" .
