"use strict";

/** A unary call of the native API: one crossing in, one event out. */

const { AsyncResource } = require("node:async_hooks");
const { claimSlot, freeSlot, hold, queue, release } = require("./environment.cjs");
const { ABORTED, abortError, tieTo } = require("./abort.cjs");
const { CallPlan } = require("./call-plan.cjs");
const { Code } = require("./codes.cjs");
const { errorOfEnd, translate } = require("./rpc-error.cjs");

/** The answer to a call with one response message. Metadata is decoded when somebody looks. */
class UnaryResponse {
  #header;
  #trailer;

  constructor(message, header, trailer, peer) {
    this.message = message;
    this.#header = header;
    this.#trailer = trailer;
    this.peer = peer;
  }

  get header() {
    return (this.#header = made(this.#header));
  }

  get trailer() {
    return (this.#trailer = made(this.#trailer));
  }
}

function made(metadata) {
  return typeof metadata === "function" ? metadata() : metadata;
}

class UnaryCall extends AsyncResource {
  /** Not collected, and so not closed, while the call waits for a connection. */
  #channel;
  #plan;
  #resolve;
  #reject;
  #slot = -1;
  #tie;

  constructor(channel, plan, resolve, reject) {
    super("LINKSPAN_CALL");
    this.#channel = channel;
    this.#plan = plan;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Throws what keeps the call from starting. */
  start(bytes) {
    const slot = claimSlot(this);
    try {
      const { method, timeout, flags, metadata } = this.#plan.terms();
      this.#channel.native.startUnary(slot, method, timeout, flags, metadata, bytes);
    } catch (error) {
      freeSlot(slot);
      throw translate(error);
    }
    this.#slot = slot;
    hold();
    this.#tie = tieTo(this.#plan.signal, () => queue.cancel(this.#slot, Code.CANCELLED, ABORTED));
  }

  onUnary(end, message) {
    release();
    this.#tie?.cut();
    if (!end.isOk) {
      this.#reject(errorOfEnd(end, causeOf(end, this.#plan.signal)));
      return;
    }
    try {
      const decoded = this.runInAsyncScope(() => this.#plan.decoded(message));
      this.#resolve(new UnaryResponse(decoded, () => end.header(), () => end.trailer(), end.peer));
    } catch (error) {
      this.#reject(error);
    }
  }
}

/** The abort's reason, when it was the abort that ended the call. */
function causeOf(end, signal) {
  return signal?.aborted && end.isLocal && end.code === Code.CANCELLED ? signal.reason : undefined;
}

/** Argument errors reject, like every other failure: what the executor throws does. */
function callUnary(channel, method, request, options) {
  return new Promise((resolve, reject) => {
    const plan = new CallPlan(channel, method, options);
    const bytes = plan.encoded(request);
    const start = () => {
      if (plan.signal?.aborted) throw abortError(plan.signal);
      new UnaryCall(channel, plan, resolve, reject).start(bytes);
    };
    if (plan.credentials.length === 0) start();
    else startWithCredentials(channel, plan, start).catch(reject);
  });
}

async function startWithCredentials(channel, plan, start) {
  if (plan.signal?.aborted) throw abortError(plan.signal);
  hold();
  try {
    await plan.addCredentials(channel);
    start();
  } finally {
    release();
  }
}

module.exports = { UnaryResponse, callUnary, causeOf };
