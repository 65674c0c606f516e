"use strict";

/** The public objects of the native API's streaming calls, and the call with many requests and one response. */

const { CallPlan } = require("./call-plan.cjs");
const { Code } = require("./codes.cjs");
const { Exchange } = require("./exchange.cjs");
const { Feed } = require("./feed.cjs");
const { RpcError } = require("./rpc-error.cjs");
const { UnaryResponse } = require("./unary.cjs");

const CANCELLED = "the call was cancelled by its caller";

/** A call's responses. Leaving a `for await` early cancels the call. */
class ResponseStream {
  #exchange;
  #isTaken = false;

  constructor(exchange) {
    this.#exchange = exchange;
  }

  get header() {
    return this.#exchange.header;
  }

  get trailer() {
    return this.#exchange.trailer;
  }

  get peer() {
    return this.#exchange.peer;
  }

  cancel(reason) {
    const error = new RpcError(Code.CANCELLED, CANCELLED, undefined, undefined, { cause: reason });
    this.#exchange.cancel(Code.CANCELLED, CANCELLED, error);
  }

  [Symbol.asyncIterator]() {
    if (this.#isTaken) throw new Error("the messages of a call can be iterated once only");
    this.#isTaken = true;
    return new ResponseIterator(this.#exchange, () => this.cancel());
  }
}

class ResponseIterator {
  #exchange;
  #cancel;
  #isOver = false;

  constructor(exchange, cancel) {
    this.#exchange = exchange;
    this.#cancel = cancel;
  }

  async next() {
    if (this.#isOver) return OVER;
    const taken = await this.#exchange.nextMessage();
    if (taken === undefined || this.#isOver) {
      this.#isOver = true;
      return OVER;
    }
    return { value: this.#decoded(taken.message), done: false };
  }

  async return(value) {
    this.#isOver = true;
    this.#cancel();
    return { value, done: true };
  }

  async throw(error) {
    this.#isOver = true;
    this.#cancel();
    throw error;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #decoded(message) {
    try {
      return this.#exchange.decoded(message);
    } catch (error) {
      this.#isOver = true;
      this.#exchange.cancel(Code.CANCELLED, error.details, error);
      throw error;
    }
  }
}

const OVER = Object.freeze({ value: undefined, done: true });

/** A call whose requests are written one by one. */
class DuplexCall extends ResponseStream {
  #exchange;
  #plan;
  #hasEnded = false;

  constructor(exchange, plan) {
    super(exchange);
    this.#exchange = exchange;
    this.#plan = plan;
  }

  async write(message) {
    if (this.#hasEnded) throw new TypeError("write was called after end");
    await this.#exchange.writeMessage(this.#plan.encoded(message));
  }

  end() {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#exchange.endWriting();
  }
}

function callServerStreaming(channel, method, request, options) {
  const plan = new CallPlan(channel, method, options);
  const exchange = new Exchange(channel, plan);
  exchange.begin(plan.encoded(request), true);
  return new ResponseStream(exchange);
}

function callBidi(channel, method, requests, options) {
  const plan = new CallPlan(channel, method, options);
  return new ResponseStream(beginWithFeed(channel, plan, requests));
}

function callOpen(channel, method, options) {
  const plan = new CallPlan(channel, method, options);
  const exchange = new Exchange(channel, plan);
  exchange.begin(undefined, false);
  return new DuplexCall(exchange, plan);
}

async function callClientStreaming(channel, method, requests, options) {
  const plan = new CallPlan(channel, method, options);
  // The engine sees to it that there is one response and no second.
  plan.singleResponse = true;
  const exchange = beginWithFeed(channel, plan, requests);
  const { message } = await exchange.nextMessage();
  await exchange.nextMessage();
  const [header, trailer] = await Promise.all([exchange.header, exchange.trailer]);
  const end = { peer: exchange.peer, header: () => header, trailer: () => trailer };
  return new UnaryResponse(exchange.decoded(message), end);
}

function beginWithFeed(channel, plan, requests) {
  const exchange = new Exchange(channel, plan);
  const feed = new Feed(requests, exchange, plan);
  exchange.begin(undefined, false);
  feed.start();
  return exchange;
}

module.exports = { DuplexCall, ResponseStream, callBidi, callClientStreaming, callOpen, callServerStreaming };
