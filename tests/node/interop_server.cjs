"use strict";

/**
 * gRPC's interop server on grpc-js: node interop_server.cjs --name grpc-js-1 [--port N] [--max-streams N]
 *
 * The first line on stdout is `LISTENING HOST:PORT`; SIGTERM ends it. grpc-js compresses no responses and does not tell whether a
 * request came compressed, so neither is done here.
 */

const { parseArgs } = require("node:util");
const { grpc, testing } = require("./service.cjs");

const LARGEST_REQUEST = 16 << 20;
const INITIAL_KEY = "x-grpc-test-echo-initial";
const TRAILING_KEY = "x-grpc-test-echo-trailing-bin";

function implementation(name) {
  return {
    EmptyCall: (call, answer) => answer(null, {}),

    UnaryCall(call, answer) {
      const { responseStatus, responseSize, fillServerId } = call.request;
      const trailer = echoMetadata(call);
      if (responseStatus?.code) return answer(failure(responseStatus, trailer));
      answer(null, { payload: zeros(responseSize), serverId: fillServerId ? name : "", hostname: name }, trailer);
    },

    StreamingInputCall(call, answer) {
      let size = 0;
      call.on("data", (request) => (size += request.payload.body.length));
      call.on("end", () => answer(null, { aggregatedPayloadSize: size }));
      call.on("error", () => {});
    },

    StreamingOutputCall(call) {
      respond(call, call.request).then(() => call.end());
    },

    FullDuplexCall(call) {
      const trailer = echoMetadata(call);
      let turn = Promise.resolve();
      call.on("data", (request) => (turn = turn.then(() => respond(call, request, trailer))));
      call.on("end", () => turn.then(() => call.end(trailer)));
      call.on("error", () => {});
    },
  };
}

/** The responses a request asks for, or the status. */
async function respond(call, { responseParameters = [], responseStatus }, trailer) {
  // An error ends the call; what is written after it goes nowhere.
  if (responseStatus?.code) call.emit("error", failure(responseStatus, trailer));
  for (const { size, intervalUs, fillPeerSocketAddress } of responseParameters) {
    if (intervalUs > 0) await new Promise((resolve) => setTimeout(resolve, intervalUs / 1000));
    const peerSocketAddress = fillPeerSocketAddress?.value ? call.getPeer() : "";
    call.write({ payload: zeros(size), peerSocketAddress });
  }
}

/** Sends back what is echoed at the start; returns what is echoed at the end. */
function echoMetadata(call) {
  const trailer = new grpc.Metadata();
  for (const value of call.metadata.get(TRAILING_KEY)) trailer.add(TRAILING_KEY, value);
  const header = new grpc.Metadata();
  for (const value of call.metadata.get(INITIAL_KEY)) header.add(INITIAL_KEY, value);
  if (header.get(INITIAL_KEY).length > 0) call.sendMetadata(header);
  return trailer;
}

function failure({ code, message }, metadata) {
  return { code, details: message, metadata };
}

function zeros(size) {
  return { body: Buffer.alloc(size) };
}

function main() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      name: { type: "string", default: "grpc-js" },
      "max-streams": { type: "string" },
    },
  });
  const options = { "grpc.max_receive_message_length": LARGEST_REQUEST };
  if (values["max-streams"] !== undefined) options["grpc.max_concurrent_streams"] = Number(values["max-streams"]);
  const server = new grpc.Server(options);
  // Methods that are left out answer UNIMPLEMENTED.
  server.addService(testing.TestService.service, implementation(values.name));
  server.bindAsync(`127.0.0.1:${values.port}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    process.stdout.write(`LISTENING 127.0.0.1:${port}\n`);
  });
  process.on("SIGTERM", () => server.forceShutdown());
}

main();
