"use strict";

/** linkspan under its own API: node linkspan-native.cjs [--start] --echo HOST:PORT … (tests/bench/README.md) */

const { METHOD, STREAM_MESSAGE_BYTES, run, versionIn, wrongCount, wrongLength } = require("./client.cjs");

const LINKSPAN = "../../../bindings-node";

class NativeChannel {
  #channel;

  constructor(channel) {
    this.#channel = channel;
  }

  async unary(tally, size) {
    const payload = Buffer.alloc(size);
    do {
      const { message } = await this.#channel.unary(METHOD, payload);
      if (message.length !== size) throw wrongLength(message.length, size);
      tally.operations += 1;
    } while (!tally.isOver);
  }

  async serverStream(tally, messages) {
    const request = Buffer.from(String(messages));
    do {
      let received = 0;
      for await (const message of this.#channel.serverStreaming(METHOD, request)) {
        if (message.length !== STREAM_MESSAGE_BYTES) throw wrongLength(message.length, STREAM_MESSAGE_BYTES);
        received += 1;
        tally.operations += 1;
      }
      if (received !== messages) throw wrongCount(received, messages);
    } while (!tally.isOver);
  }

  async pingPong(tally, size) {
    const payload = Buffer.alloc(size);
    const call = this.#channel.open(METHOD);
    const answers = call[Symbol.asyncIterator]();
    do {
      await call.write(payload);
      const { value, done } = await answers.next();
      if (done) throw new Error("the stream ended before the time was over");
      if (value.length !== size) throw wrongLength(value.length, size);
      tally.operations += 1;
    } while (!tally.isOver);
    call.end();
    if (!(await answers.next()).done) throw new Error("more came back than was sent");
  }

  async blast(tally, size, messages) {
    const payload = Buffer.alloc(size);
    do {
      const call = this.#channel.open(METHOD);
      const sent = sendAll(call, payload, messages);
      sent.catch(() => {});
      let received = 0;
      for await (const message of call) {
        if (message.length !== size) throw wrongLength(message.length, size);
        received += 1;
        tally.operations += 1;
      }
      await sent;
      if (received !== messages) throw wrongCount(received, messages);
    } while (!tally.isOver);
  }

  close() {
    this.#channel.close();
  }
}

async function sendAll(call, payload, messages) {
  for (let left = messages; left > 0; left--) await call.write(payload);
  call.end();
}

run({
  client: "linkspan-native",
  version: versionIn(LINKSPAN),
  load() {
    const { Channel } = require(LINKSPAN);
    return (target, { ca }) => new NativeChannel(new Channel(target, ca === undefined ? {} : { tls: { ca } }));
  },
});
