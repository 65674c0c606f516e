"use strict";

/** A client of @grpc/grpc-js over linkspan: node linkspan-grpc-js.cjs [--start] --echo HOST:PORT … (tests/bench/README.md) */

const { run, versionIn } = require("./client.cjs");
const { GrpcJsChannel } = require("./grpc-js-channel.cjs");

const LINKSPAN = "../../../bindings-node";

run({
  client: "linkspan-grpc-js",
  version: versionIn(LINKSPAN),
  load() {
    const grpc = require("@grpc/grpc-js");
    const { Channel } = require(LINKSPAN);
    return (target, { ca }) => {
      const channelOverride = new Channel(target, ca === undefined ? {} : { tls: { ca } });
      // Neither address nor credentials are looked at: the channel is there already.
      return new GrpcJsChannel(new grpc.Client("", grpc.credentials.createInsecure(), { channelOverride }));
    };
  },
});
