"use strict";

/** Waiting for a channel's state to change. */

const { AsyncResource } = require("node:async_hooks");
const { claimSlot, freeSlot, hold, queue, release } = require("./environment.cjs");
const { abortError, tieTo } = require("./abort.cjs");
const { Code, State } = require("./codes.cjs");
const { RpcError, translate } = require("./rpc-error.cjs");

/** One wait on the engine. It holds the event loop open if it has an end. */
class Watch extends AsyncResource {
  /** Not collected while somebody waits for it. */
  #channel;
  #onChange;
  #slot;
  #isHolding;

  /** `onChange(state, timedOut)` is called once. Throws when the engine refuses. */
  constructor(channel, from, timeout, onChange) {
    super("LINKSPAN_WATCH");
    this.#channel = channel;
    this.#onChange = onChange;
    this.#isHolding = timeout !== Infinity;
    this.#slot = claimSlot(this);
    try {
      this.#channel.native.watch(this.#slot, from, timeout);
    } catch (error) {
      freeSlot(this.#slot);
      throw translate(error);
    }
    if (this.#isHolding) hold();
  }

  /** The change is reported at once, as timed out. */
  cancel() {
    if (this.#slot >= 0) queue.cancel(this.#slot, Code.CANCELLED, "");
  }

  onConnectivity(state, timedOut) {
    this.#slot = -1;
    if (this.#isHolding) release();
    this.runInAsyncScope(this.#onChange, undefined, state, timedOut);
  }
}

/** grpc-js's watch: `callback()` once the state differs from `from`, `callback(Error)` at the deadline. */
function watchState(channel, from, deadline, callback) {
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  const timeout = at === Infinity ? Infinity : Math.max(0, at - Date.now());
  new Watch(channel, from, Number.isNaN(timeout) ? 0 : timeout, (_state, timedOut) => {
    if (timedOut) callback(new Error("Deadline passed without connectivity state change"));
    else callback();
  });
}

/** Resolves once the channel is READY; connects it for that, again and again if need be. */
function waitForReady(channel, { signal, timeoutMs = Infinity } = {}) {
  return new Promise((resolve, reject) => {
    if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs) || timeoutMs < 0) {
      throw new TypeError(`timeoutMs must be a number of milliseconds, 0 or more, not ${String(timeoutMs)}`);
    }
    if (signal?.aborted) throw abortError(signal);
    new ReadyWait(channel, signal, timeoutMs, resolve, reject).look();
  });
}

class ReadyWait {
  #channel;
  #signal;
  #tie;
  #expires;
  #resolve;
  #reject;
  #watch;

  constructor(channel, signal, timeoutMs, resolve, reject) {
    this.#channel = channel;
    this.#signal = signal;
    this.#expires = performance.now() + timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
    // Held here and not by the watches: without a time limit theirs would not hold the loop, and this wait does.
    hold();
    this.#tie = tieTo(signal, () => this.#watch?.cancel());
  }

  look() {
    const state = this.#channel.native.state(true);
    if (this.#signal?.aborted) this.#end(abortError(this.#signal));
    else if (state === State.READY) this.#end();
    else if (state === State.SHUTDOWN) this.#end(new RpcError(Code.UNAVAILABLE, "the channel was closed"));
    else this.#await(state);
  }

  #await(state) {
    const left = this.#expires - performance.now();
    if (left <= 0) {
      this.#end(new RpcError(Code.DEADLINE_EXCEEDED, "the channel was not ready in time"));
      return;
    }
    try {
      this.#watch = new Watch(this.#channel, state, left, () => this.look());
    } catch (error) {
      this.#end(error);
    }
  }

  #end(error) {
    release();
    this.#tie?.cut();
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }
}

module.exports = { waitForReady, watchState };
