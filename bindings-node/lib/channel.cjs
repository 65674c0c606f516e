"use strict";

/** The channel: linkspan's own API, and the six methods that clients of @grpc/grpc-js need of one. */

const { delivery } = require("./environment.cjs");
const { EngineChannel } = require("./engine-channel.cjs");
const { GrpcCall } = require("./grpc-js-call.cjs");
const { callBidi, callClientStreaming, callOpen, callServerStreaming } = require("./response-stream.cjs");
const { callUnary } = require("./unary.cjs");
const { waitForReady, watchState } = require("./watch.cjs");

/** grpc-js's words. */
const SHUT_DOWN = "Channel has been shut down";

class Channel {
  #channel;

  constructor(target, options) {
    this.#channel = target instanceof EngineChannel ? target : new EngineChannel(target, options);
  }

  unary(method, request, options) {
    return callUnary(this.#channel, method, request, options);
  }

  serverStreaming(method, request, options) {
    return callServerStreaming(this.#channel, method, request, options);
  }

  clientStreaming(method, requests, options) {
    return callClientStreaming(this.#channel, method, requests, options);
  }

  bidi(method, requests, options) {
    return callBidi(this.#channel, method, requests, options);
  }

  open(method, options) {
    return callOpen(this.#channel, method, options);
  }

  /**
   * The engine's own state, as of now. A watch compares with the state it is given, so reading and then watching in
   * one tick loses no change, and no state has to be carried over to JavaScript that nobody asks for.
   */
  get state() {
    return this.#channel.native.state(false);
  }

  ready(options) {
    return waitForReady(this.#channel, options);
  }

  metrics() {
    const { calls, ...rest } = this.#channel.native.metrics();
    const byCode = Object.fromEntries(calls.byCode.map(({ name, count }) => [name, count]));
    return { ...rest, calls: { ...calls, byCode }, delivery: { ...delivery } };
  }

  /** The channel at this moment: its resolver, its addresses with their states, dials, waits and connections. */
  snapshot() {
    return JSON.parse(this.#channel.native.snapshot());
  }

  /** The state changes still remembered, oldest first; with `after`, those that came after that number. */
  events(after = 0) {
    return this.#channel.native.events(after);
  }

  close() {
    this.#channel.close();
  }

  getTarget() {
    return this.#channel.target;
  }

  getConnectivityState(tryToConnect = false) {
    return this.#channel.native.state(Boolean(tryToConnect));
  }

  watchConnectivityState(currentState, deadline, callback) {
    this.#refuseIfClosed();
    watchState(this.#channel, currentState, deadline, callback);
  }

  getChannelzRef() {
    return { kind: "channel", id: this.#channel.native.id, name: this.#channel.target };
  }

  createCall(method, deadline, host, parentCall, propagateFlags) {
    if (typeof method !== "string") throw new TypeError("Channel#createCall: method must be a string");
    if (!(typeof deadline === "number" || deadline instanceof Date)) {
      throw new TypeError("Channel#createCall: deadline must be a number or Date");
    }
    this.#refuseIfClosed();
    return new GrpcCall(this.#channel, method, deadline, host, parentCall, propagateFlags);
  }

  #refuseIfClosed() {
    if (this.#channel.isClosed) throw new Error(SHUT_DOWN);
  }
}

module.exports = { Channel };
