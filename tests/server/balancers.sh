#!/bin/sh
# Sees to it that nginx and HAProxy are there for the scenarios behind them. A machine that has them is left alone; on a Debian the packages
# are fetched and unpacked into .tools/balancers, with the libraries of HAProxy that few machines have. Nothing is installed, and without
# either way the scenarios are skipped, visibly.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
place="$root/.tools/balancers"
path="$PATH:/usr/sbin:/usr/local/sbin"

fetch() {
    name=$1
    shift
    if PATH="$path" command -v "$name" > /dev/null || [ -x "$place/usr/sbin/$name" ]; then
        return
    fi
    folder=$(mktemp -d)
    # The index of packages may be missing or old; making it new needs the right to.
    if (cd "$folder" && { apt-get download "$@" || { apt-get update && apt-get download "$@"; }; }) > "$folder/log" 2>&1; then
        mkdir -p "$place"
        for package in "$folder"/*.deb; do
            dpkg-deb --extract "$package" "$place"
        done
    else
        echo "tests/server/balancers.sh: $name is not installed and cannot be fetched ($(tail -n 1 "$folder/log")); scenarios behind it will be skipped" >&2
    fi
    rm -rf "$folder"
}

fetch nginx nginx
fetch haproxy haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
