"use strict";

/**
 * A streaming call of the native API under its public objects: messages are pulled one by one, the end is told once.
 *
 * It ends with a status of the engine, or with an error of the caller's own (`failWith`), whichever is first.
 */

const { hold, release } = require("./environment.cjs");
const { ABORTED, abortError, tieTo } = require("./abort.cjs");
const { causeOf } = require("./unary.cjs");
const { Code } = require("./codes.cjs");
const { EngineStream, LAST } = require("./stream.cjs");
const { Metadata } = require("./metadata.cjs");
const { errorOfEnd, translate } = require("./rpc-error.cjs");

/** The first message may come before anybody asks for it. */
const FIRST_CREDIT = 1;

class Exchange extends EngineStream {
  #channel;
  #plan;
  #tie;
  #isHeld = false;

  /** Promises of `nextMessage` that wait for a message or the end. */
  #readers = [];
  #header = new Outcome();
  #trailer = new Outcome();
  #failure;
  #failureIsTold = false;
  #onEnd = [];
  /** Messages and the half-close that wait for the call's credentials. */
  #beforeLaunch = [];
  peer;

  constructor(channel, plan) {
    super("LINKSPAN_CALL");
    this.#channel = channel;
    this.#plan = plan;
  }

  /** Begins the call, with its only message if it has one. Argument errors are thrown, all others end the call. */
  begin(message, last) {
    const { signal, credentials } = this.#plan;
    if (signal?.aborted) {
      this.failWith(abortError(signal));
      return;
    }
    this.#hold();
    if (credentials.length === 0) {
      this.#launch(message, last);
    } else {
      this.#launchLater(message, last);
    }
    if (!this.hasEnded) this.#tie = tieTo(signal, () => this.cancel(Code.CANCELLED, ABORTED, abortError(signal)));
  }

  /** Resolves to `{ message }` or, at an OK end, to undefined. Rejects at any other, the first time. */
  nextMessage() {
    if (this.#readers.length === 0 && this.inbox.length > 0) return this.#taken(this.inbox.shift());
    if (this.hasEnded) return this.#told();
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.wanted += 1;
      this.topUp();
    });
  }

  /** Resolves when there is room for another message, and when the call has ended OK. */
  async writeMessage(bytes) {
    if (this.hasEnded) {
      if (this.#failure !== undefined) throw this.#failure;
      return;
    }
    await new Promise((resolve) => {
      if (this.isRunning) this.write(bytes, resolve);
      else this.#beforeLaunch.push({ bytes: Buffer.from(bytes), resolve });
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  endWriting() {
    if (this.isRunning) this.halfClose();
    else if (!this.hasEnded) this.#beforeLaunch.push({ last: true });
  }

  /** Ends the call on the wire; it fails with `error`, or else with the status the engine then reports. */
  cancel(code, details, error) {
    if (this.hasEnded) return;
    if (error !== undefined) this.#failure ??= error;
    if (this.isRunning) this.cancelOnEngine(code, details);
    else this.failWith(error);
  }

  /** Ends the call with an error of the caller's side. */
  failWith(error) {
    if (this.hasEnded) return;
    this.#failure ??= error;
    if (this.isRunning) {
      this.cancelOnEngine(Code.CANCELLED, "the caller's side of the call failed");
    } else {
      this.abandon();
      this.#settle();
    }
  }

  get failure() {
    return this.#failure;
  }

  get header() {
    return this.#header.promise;
  }

  get trailer() {
    return this.#trailer.promise;
  }

  /** Calls back once the call has ended. */
  whenEnded(callback) {
    if (this.hasEnded) callback();
    else this.#onEnd.push(callback);
  }

  decoded(bytes) {
    return this.runInAsyncScope(() => this.#plan.decoded(bytes));
  }

  onHeaders({ peer, header }) {
    this.peer = peer;
    this.#header.resolve(() => Metadata.fromBlock(header));
  }

  pump() {
    while (this.#readers.length > 0 && this.inbox.length > 0) {
      this.wanted -= 1;
      const { resolve } = this.#readers.shift();
      resolve({ message: this.inbox.shift() });
    }
  }

  finished(end) {
    if (end.peer) this.peer = end.peer;
    if (!end.isOk) this.#failure ??= errorOfEnd(end, causeOf(end, this.#plan.signal));
    this.#settle(() => end.trailer());
  }

  #launch(message, last) {
    try {
      this.launch(this.#channel.native, this.#plan.terms(), message, last ? LAST : 0, FIRST_CREDIT);
    } catch (error) {
      const translated = translate(error);
      this.failWith(translated);
      if (translated instanceof TypeError) throw translated;
    }
  }

  async #launchLater(message, last) {
    try {
      await this.#plan.addCredentials(this.#channel);
      if (!this.hasEnded) this.#launch(message, last);
    } catch (error) {
      this.failWith(error);
    }
    for (const held of this.#beforeLaunch.splice(0)) {
      if (held.last) this.endWriting();
      else if (this.isRunning) this.write(held.bytes, held.resolve);
      else held.resolve();
    }
  }

  #taken(message) {
    this.topUp();
    return Promise.resolve({ message });
  }

  /** The end, for whoever asks; an error is thrown once only. */
  #told() {
    if (this.#failure === undefined || this.#failureIsTold) return Promise.resolve(undefined);
    this.#failureIsTold = true;
    return Promise.reject(this.#failure);
  }

  #settle(trailer) {
    this.#tie?.cut();
    this.#unhold();
    const failure = this.#failure;
    if (failure === undefined) {
      this.#header.resolve(() => new Metadata());
      this.#trailer.resolve(trailer);
    } else {
      this.#header.reject(failure);
      this.#trailer.reject(failure);
    }
    // Whoever waits now found the inbox empty.
    this.wanted = 0;
    for (const { resolve, reject } of this.#readers.splice(0)) this.#told().then(resolve, reject);
    for (const callback of this.#onEnd.splice(0)) callback();
  }

  #hold() {
    this.#isHeld = true;
    hold();
  }

  #unhold() {
    if (this.#isHeld) release();
    this.#isHeld = false;
  }
}

/** A promise that is made when somebody asks for it, and that is never an unhandled rejection by itself. */
class Outcome {
  #promise;
  #settle;
  #outcome;

  get promise() {
    if (this.#promise === undefined) {
      this.#promise = new Promise((resolve, reject) => {
        this.#settle = ({ value, error }) => (error === undefined ? resolve(value()) : reject(error));
      });
      this.#promise.catch(() => {});
      if (this.#outcome !== undefined) this.#settle(this.#outcome);
    }
    return this.#promise;
  }

  /** `value` is a function: most outcomes are never asked for. Only the first outcome counts. */
  resolve(value) {
    this.#set({ value });
  }

  reject(error) {
    this.#set({ error });
  }

  #set(outcome) {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#settle?.(outcome);
  }
}

module.exports = { Exchange };
