"use strict";

/** What the interop cases need of a client, done with linkspan's native API. */

const { Channel } = require("../../../bindings-node/index.cjs");
const { method } = require("../service.cjs");

class NativeFace {
  static label = "native";
  #channel;

  constructor(target, options) {
    this.#channel = new Channel(target, options);
  }

  async unary(name, request, { metadata, service, compress } = {}) {
    const { message, header, trailer, peer } = await this.#channel.unary(method(name, service), request, { metadata, compress });
    return { message, header: readable(header), trailer: readable(trailer), peer };
  }

  async clientStreaming(name, requests, { compress } = {}) {
    const { message } = await this.#channel.clientStreaming(method(name), requests, { compress });
    return message;
  }

  async serverStreaming(name, request) {
    const messages = [];
    for await (const message of this.#channel.serverStreaming(method(name), request)) messages.push(message);
    return messages;
  }

  /** Of a method that the proto does not have. */
  serverStreamOfBytes(path, request, options) {
    return readableOneByOne(this.#channel.serverStreaming(path, request, options));
  }

  /** A call that is cancelled by its caller before anything else happens on it. */
  async cancelledClientStreaming(name) {
    const abort = new AbortController();
    const answer = this.#channel.clientStreaming(method(name), endless(), { signal: abort.signal });
    abort.abort();
    return answer;
  }

  duplex(name, { metadata, timeoutMs } = {}) {
    const call = this.#channel.open(method(name), { metadata, timeoutMs });
    return {
      ...readableOneByOne(call),
      write: (message) => call.write(message),
      end: () => call.end(),
      header: async () => readable(await call.header),
      trailer: async () => readable(await call.trailer),
    };
  }

  close() {
    this.#channel.close();
  }
}

function readableOneByOne(call) {
  const messages = call[Symbol.asyncIterator]();
  return {
    cancel: () => call.cancel(),
    async read() {
      const { value, done } = await messages.next();
      return done ? undefined : value;
    },
  };
}

async function* endless() {
  await new Promise(() => {});
}

function readable(metadata) {
  return { all: (key) => metadata.getAll(key) };
}

module.exports = { NativeFace };
