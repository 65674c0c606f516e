#!/bin/sh
# Generates the Python stubs of interop.proto into .tools/generated/python; quick when they are newer than the proto.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
proto="$root/tests/proto/interop.proto"
out="$root/.tools/generated/python"

if [ "$out/interop_pb2_grpc.py" -nt "$proto" ]; then
    exit 0
fi
mkdir -p "$out"
"$root/.tools/venv/bin/python" -m grpc_tools.protoc \
    --proto_path="$root/tests/proto" --python_out="$out" --grpc_python_out="$out" interop.proto
