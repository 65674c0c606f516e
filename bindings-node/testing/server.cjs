"use strict";

/** A real server, grpc-js's own, on loopback; messages are bytes, so that tests say themselves what is in them. */

const grpc = require("@grpc/grpc-js");

const identity = (bytes) => bytes;

function definition(name, requestStream, responseStream) {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

const METHODS = {
  Unary: definition("Unary", false, false),
  ServerStream: definition("ServerStream", false, true),
  ClientStream: definition("ClientStream", true, false),
  Bidi: definition("Bidi", true, true),
};

/** Clients of grpc-js for the same service. */
const EchoClient = grpc.makeGenericClientConstructor(METHODS, "test.Echo");

const ECHO = {
  Unary: (call, callback) => callback(null, call.request),
  ServerStream(call) {
    for (const byte of call.request) call.write(Buffer.from([byte]));
    call.end();
  },
  ClientStream(call, callback) {
    const parts = [];
    call.on("data", (part) => parts.push(part));
    call.on("end", () => callback(null, Buffer.concat(parts)));
  },
  Bidi(call) {
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end());
  },
};

/** Starts a server whose handlers echo, except for those given. Resolves to `{ address, stop }`. */
function startServer(handlers = {}, { credentials = grpc.ServerCredentials.createInsecure(), options = {}, address = "127.0.0.1:0" } = {}) {
  const server = new grpc.Server(options);
  server.addService(METHODS, { ...ECHO, ...handlers });
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error) reject(error);
      else resolve({ address: `127.0.0.1:${port}`, port, stop: () => server.forceShutdown() });
    });
  });
}

/** A server for one test. */
async function serverFor(t, handlers, settings) {
  const server = await startServer(handlers, settings);
  t.after(() => server.stop());
  return server;
}

/** A channel for one test, to a server of its own unless one is named. */
async function channelFor(t, handlers, options) {
  const { Channel } = require("../index.cjs");
  const { address } = await serverFor(t, handlers);
  const channel = new Channel(address, options);
  t.after(() => channel.close());
  return channel;
}

/** A promise together with the functions that settle it. */
function deferred() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

const LOOK_EVERY_MS = 200;

/**
 * Resolves, to the value, once what `read` returns has begun to move and has come to a stop. A slow machine only makes it
 * look longer: what goes on and on is followed to its end.
 */
async function standstill(read) {
  for (let before = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const now = read();
    if (now > 0 && now === before) return now;
    before = now;
  }
}

/** A port nobody listens on: it was ours a moment ago. */
function refusedAddress() {
  return new Promise((resolve) => {
    const server = require("node:net").createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(`127.0.0.1:${port}`));
    });
  });
}

/** Accepts connections and never says a word. Resolves to its address. */
function silentServer(t) {
  return new Promise((resolve) => {
    const sockets = new Set();
    const server = require("node:net").createServer((socket) => sockets.add(socket));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${server.address().port}`));
  });
}

module.exports = { EchoClient, METHODS, channelFor, deferred, grpc, refusedAddress, serverFor, silentServer, standstill, startServer };
