"use strict";

/** What the interop cases need of a client, done with a client of @grpc/grpc-js over a linkspan channel. */

const { Channel } = require("../../../bindings-node/index.cjs");
const { clientOver, grpc } = require("../service.cjs");

/** As grpc-js numbers them; it exports neither. */
const GZIP = 2;
const NO_COMPRESS = 2;

class GrpcJsFace {
  static label = "grpc-js";
  static leavesMessagesAsTheyAre = true;
  #channel;
  /** A client of grpc-js has its compression by its channel. */
  #compressing;

  constructor(target, options) {
    this.#channel = new Channel(target, options);
    this.#compressing = new Channel(target, { ...options, "grpc.default_compression_algorithm": GZIP });
  }

  unary(name, request, { metadata, service, compress } = {}) {
    return new Promise((resolve, reject) => {
      const answer = {};
      const call = this.#client(service, compress)[name](request, grpcMetadata(metadata), (error, message) => {
        if (error) reject(error);
        else answer.message = message;
      });
      call.on("metadata", (header) => (answer.header = readable(header)));
      call.on("status", ({ code, metadata: trailer }) => {
        if (code === grpc.status.OK) resolve({ ...answer, trailer: readable(trailer), peer: call.getPeer() });
      });
    });
  }

  clientStreaming(name, requests, { compress, asTheyAre = [] } = {}) {
    return new Promise((resolve, reject) => {
      const client = this.#client(undefined, compress);
      const call = client[name]((error, message) => (error ? reject(error) : resolve(message)));
      for (const request of requests) call.write(request, asTheyAre.includes(request) ? NO_COMPRESS : 0);
      call.end();
    });
  }

  async serverStreaming(name, request) {
    const messages = [];
    for await (const message of this.#client()[name](request)) messages.push(message);
    return messages;
  }

  /** Of a method that the proto does not have. */
  serverStreamOfBytes(path, request, { timeoutMs }) {
    const client = new grpc.Client("", grpc.credentials.createInsecure(), { channelOverride: this.#channel });
    const same = (bytes) => bytes;
    return readableOneByOne(client.makeServerStreamRequest(path, same, same, request, { deadline: Date.now() + timeoutMs }));
  }

  cancelledClientStreaming(name) {
    return new Promise((resolve, reject) => {
      const call = this.#client()[name]((error, message) => (error ? reject(error) : resolve(message)));
      call.cancel();
    });
  }

  duplex(name, { metadata, timeoutMs } = {}) {
    const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    const call = this.#client()[name](grpcMetadata(metadata), options);
    const header = new Promise((resolve) => call.once("metadata", resolve));
    const trailer = new Promise((resolve) => call.once("status", (status) => resolve(status.metadata)));
    return {
      ...readableOneByOne(call),
      write: (message) => new Promise((resolve) => call.write(message, resolve)),
      end: () => call.end(),
      header: async () => readable(await header),
      trailer: async () => readable(await trailer),
    };
  }

  close() {
    this.#channel.close();
    this.#compressing.close();
  }

  #client(service, compress = false) {
    return clientOver(compress ? this.#compressing : this.#channel, service);
  }
}

function readableOneByOne(call) {
  // The iterator listens from its first message on, and knows nothing of what went wrong before.
  let failure;
  call.on("error", (error) => (failure = error));
  const messages = call[Symbol.asyncIterator]();
  return {
    cancel: () => call.cancel(),
    async read() {
      const { value, done } = await messages.next();
      if (done && failure !== undefined) throw failure;
      return done ? undefined : value;
    },
  };
}

function grpcMetadata(entries = {}) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.add(key, value);
  return metadata;
}

function readable(metadata) {
  return { all: (key) => metadata.get(key) };
}

module.exports = { GrpcJsFace };
