"use strict";

/** @grpc/grpc-js: node grpc-js.cjs [--start] --echo HOST:PORT … (tests/bench/README.md) */

const { run, versionIn } = require("./client.cjs");
const { GrpcJsChannel } = require("./grpc-js-channel.cjs");

run({
  client: "grpc-js",
  version: versionIn("node_modules/@grpc/grpc-js"),
  load() {
    const grpc = require("@grpc/grpc-js");
    return (target, { ca, separate }) => {
      const credentials = ca === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(ca);
      // Otherwise all channels to one address share a connection.
      const options = separate ? { "grpc.use_local_subchannel_pool": 1 } : {};
      return new GrpcJsChannel(new grpc.Client(target, credentials, options));
    };
  },
});
