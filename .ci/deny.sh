#!/bin/sh
# Checks deny.toml with a pinned cargo-deny, installed into .tools/cargo when it is not there.
set -eu
cd "$(dirname "$0")/.."
version=0.20.2
deny=.tools/cargo/bin/cargo-deny
if [ "$($deny --version 2> /dev/null)" != "cargo-deny $version" ]; then
    # Unoptimised: it runs for half a second and compiles in half the time.
    cargo install --quiet --locked --debug --root .tools/cargo "cargo-deny@$version"
fi
exec $deny --log-level error check licenses bans sources
