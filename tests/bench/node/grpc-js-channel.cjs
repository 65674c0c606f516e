"use strict";

/** The callers over a client of @grpc/grpc-js: the same code whatever channel the client calls through. */

const { METHOD, STREAM_MESSAGE_BYTES, wrongCount, wrongLength } = require("./client.cjs");

const identity = (bytes) => bytes;

class GrpcJsChannel {
  #client;

  constructor(client) {
    this.#client = client;
  }

  unary(tally, size) {
    const payload = Buffer.alloc(size);
    return new Promise((resolve, reject) => {
      const call = () => this.#client.makeUnaryRequest(METHOD, identity, identity, payload, onAnswer);
      const onAnswer = (error, answer) => {
        if (error !== null) return reject(error);
        if (answer.length !== size) return reject(wrongLength(answer.length, size));
        tally.operations += 1;
        return tally.isOver ? resolve() : call();
      };
      call();
    });
  }

  async serverStream(tally, messages) {
    const request = Buffer.from(String(messages));
    do {
      const call = this.#client.makeServerStreamRequest(METHOD, identity, identity, request);
      await receiveAll(call, tally, STREAM_MESSAGE_BYTES, messages);
    } while (!tally.isOver);
  }

  pingPong(tally, size) {
    const payload = Buffer.alloc(size);
    const call = this.#client.makeBidiStreamRequest(METHOD, identity, identity);
    call.write(payload);
    return receive(call, size, () => {
      tally.operations += 1;
      if (tally.isOver) call.end();
      else call.write(payload);
    });
  }

  async blast(tally, size, messages) {
    const payload = Buffer.alloc(size);
    do {
      const call = this.#client.makeBidiStreamRequest(METHOD, identity, identity);
      sendAll(call, payload, messages);
      await receiveAll(call, tally, size, messages);
    } while (!tally.isOver);
  }

  close() {
    this.#client.close();
  }
}

/** Resolves when the call has ended with status OK. A status that is none comes as an error, before the end. */
function receive(call, size, onMessage) {
  return new Promise((resolve, reject) => {
    call.on("error", reject);
    call.on("end", resolve);
    call.on("data", (message) => {
      if (message.length === size) {
        onMessage();
      } else {
        reject(wrongLength(message.length, size));
        call.cancel();
      }
    });
  });
}

async function receiveAll(call, tally, size, messages) {
  let received = 0;
  await receive(call, size, () => {
    received += 1;
    tally.operations += 1;
  });
  if (received !== messages) throw wrongCount(received, messages);
}

/** As fast as the call takes them, and no faster. */
function sendAll(call, payload, messages) {
  let left = messages;
  send();

  function send() {
    while (left > 0) {
      left -= 1;
      if (!call.write(payload) && left > 0) {
        call.once("drain", send);
        return;
      }
    }
    call.end();
  }
}

module.exports = { GrpcJsChannel };
