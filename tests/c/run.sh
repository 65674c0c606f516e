#!/bin/sh
# Builds the C programs and runs the C tests; the examples too where grpc-go's interop server is built.
#   run.sh              against target/release
#   run.sh --valgrind   the same under valgrind, where it is installed
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
programs=$root/target/c
server=$root/.tools/bin/interop-server
under=

case "${1:-}" in
    "") ;;
    --valgrind)
        if ! command -v valgrind >/dev/null; then
            echo "SKIPPED: the C tests under valgrind, which is not installed"
            exit 77
        fi
        # A thread of an engine that was closed and not joined may still hold its stack; only what is lost for good counts.
        under="valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite"
        ;;
    *)
        echo "usage: run.sh [--valgrind]" >&2
        exit 2
        ;;
esac

"$root/tests/c/build.sh"

failures=0
run() {
    # shellcheck disable=SC2086 # the command is meant to be split
    if $under "$programs/$@"; then
        echo "ok $1"
    else
        echo "FAILED $1"
        failures=$((failures + 1))
    fi
}

for name in header_c99 header_cxx17 misuse ending sigpipe; do
    run "$name"
done

# Starts the server with these arguments and sets $address. Whatever was started is stopped at the end.
scratch=$(mktemp -d)
servers=
trap 'kill $servers 2>/dev/null || true; rm -rf "$scratch"' EXIT
serve() {
    said=$scratch/said.$#
    "$server" --port 0 "$@" >"$said" &
    servers="$servers $!"
    waited=0
    until grep -q '^LISTENING ' "$said"; do
        waited=$((waited + 1))
        if [ "$waited" -gt 300 ]; then
            echo "run.sh: the interop server did not say where it listens" >&2
            exit 1
        fi
        sleep 0.1
    done
    address=$(sed -n 's/^LISTENING //p' "$said")
}

if [ -x "$server" ]; then
    serve
    run unary_blocking "$address"
    run unary_batches "$address" 2000
    run stream_backpressure "$address" 500
    run interop "$address"
    # A child leaves its parent's engine where it is, with nothing left that leads to it.
    with_leaks=$under
    under=${under:+$under --leak-check=no}
    run fork "$address"
    under=$with_leaks
    serve --tls --cert-out "$scratch/roots.pem"
    # ring's assembly works on whole vectors, and valgrind takes what it leaves unused for uninitialised: there only wild
    # accesses and leaks count.
    [ -z "$under" ] || under="$under --undef-value-errors=no"
    SSLKEYLOGFILE=$scratch/keys
    export SSLKEYLOGFILE
    run tls "$address" "$scratch/roots.pem"
    # Its last connection alone asks for that.
    if [ "$(grep -c '^CLIENT_TRAFFIC_SECRET_0 ' "$scratch/keys")" -ne 1 ]; then
        echo "FAILED tls: the secrets of one connection are not in SSLKEYLOGFILE"
        failures=$((failures + 1))
    fi
    run auth "$address" "$scratch/roots.pem"
else
    echo "skipped: the examples, interop, fork and TLS, since $server is not built (tests/server/build.sh)"
fi

[ "$failures" -eq 0 ]
