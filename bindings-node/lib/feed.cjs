"use strict";

/** Sends what the caller's iterable yields, as fast as the call has room for it. */

class Feed {
  #iterator;
  #exchange;
  #plan;
  #isOver = false;

  /** Throws a TypeError for what cannot be iterated. */
  constructor(requests, exchange, plan) {
    this.#iterator = iteratorOf(requests);
    this.#exchange = exchange;
    this.#plan = plan;
  }

  start() {
    this.#exchange.whenEnded(() => this.#stop());
    this.#run();
  }

  async #run() {
    try {
      while (!this.#isOver) {
        const { value, done } = await this.#iterator.next();
        if (this.#isOver) return;
        if (done) {
          this.#isOver = true;
          this.#exchange.endWriting();
          return;
        }
        await this.#exchange.writeMessage(this.#plan.encoded(value));
      }
    } catch (error) {
      // The feed's own error; one of the call has ended the call already.
      this.#exchange.failWith(error);
    }
  }

  /** The call ended first: the feed may clean up. What it throws then interests nobody. */
  async #stop() {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      await this.#iterator.return?.();
    } catch {
      return;
    }
  }
}

function iteratorOf(requests) {
  const make = typeof requests === "object" && requests !== null
    ? (requests[Symbol.asyncIterator] ?? requests[Symbol.iterator])
    : undefined;
  if (typeof make !== "function") {
    throw new TypeError("requests must be an iterable or async iterable of messages");
  }
  return make.call(requests);
}

module.exports = { Feed };
