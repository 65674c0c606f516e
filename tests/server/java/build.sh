#!/bin/sh
# Builds the interop server on grpc-java into .tools/java; quick when it is there and no source is newer. Needs a JDK and Maven, and
# the project's venv, whose protoc describes the messages.
set -eu

root=$(cd "$(dirname "$0")/../../.." && pwd)
here="$root/tests/server/java"
out="$root/.tools/java"
stamp="$out/.built"

if [ -e "$stamp" ] && [ -z "$(find "$here" "$root/tests/proto/interop.proto" -newer "$stamp" -print -quit)" ]; then
    exit 0
fi
mkdir -p "$out/classes"
mvn --quiet --batch-mode --file "$here/pom.xml" -Dmaven.repo.local="$out/repository" \
    dependency:copy-dependencies -DoutputDirectory="$out/lib" -DincludeScope=runtime
"$root/.tools/venv/bin/python" -m grpc_tools.protoc --proto_path="$root/tests/proto" --include_imports \
    --descriptor_set_out="$out/interop.descriptors" interop.proto
javac -Xlint:all -Xlint:-classfile -Xlint:-processing -Werror -cp "$out/lib/*" -d "$out/classes" "$here/InteropServer.java"
touch "$stamp"
