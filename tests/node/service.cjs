"use strict";

/** The interop services: as definitions for the native API and as client classes of grpc-js. */

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const PROTO = path.join(__dirname, "..", "proto", "interop.proto");

const definitions = protoLoader.loadSync(PROTO, { longs: Number, defaults: true });
const { testing } = grpc.loadPackageDefinition(definitions).grpc;

/** A method for linkspan's native API. */
function method(name, service = "TestService") {
  const definition = definitions[`grpc.testing.${service}`][name];
  return { path: definition.path, encode: definition.requestSerialize, decode: definition.responseDeserialize };
}

/** A grpc-js client that calls over a linkspan channel. */
function clientOver(channel, service = "TestService") {
  // Neither address nor credentials are looked at: the channel is there already.
  return new testing[service]("", grpc.credentials.createInsecure(), { channelOverride: channel });
}

module.exports = { clientOver, grpc, method, testing };
