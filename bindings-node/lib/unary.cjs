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
  #end;
  #header;
  #trailer;

  /** `end` is a `CallEnd`, or what answers like one. */
  constructor(message, end) {
    this.message = message;
    this.peer = end.peer;
    this.#end = end;
  }

  get header() {
    return (this.#header ??= this.#end.header());
  }

  get trailer() {
    return (this.#trailer ??= this.#end.trailer());
  }
}

class UnaryCall {
  /** Not collected, and so not closed, while the call waits for a connection. */
  #channel;
  #plan;
  #resolve;
  #reject;
  #slot = -1;
  #tie;
  /** For the decoder; without one, nothing of the caller's is run here. */
  #scope;

  constructor(channel, plan, resolve, reject) {
    this.#channel = channel;
    this.#plan = plan;
    this.#resolve = resolve;
    this.#reject = reject;
    if (plan.decode !== undefined) this.#scope = new AsyncResource("LINKSPAN_CALL");
  }

  /** Throws what keeps the call from starting. */
  start(bytes) {
    if (this.#plan.signal?.aborted) throw abortError(this.#plan.signal);
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
    const { signal } = this.#plan;
    if (signal !== undefined) this.#tie = tieTo(signal, () => queue.cancel(this.#slot, Code.CANCELLED, ABORTED));
  }

  onUnary(end, message) {
    release();
    this.#tie?.cut();
    if (!end.isOk) {
      this.#reject(errorOfEnd(end, causeOf(end, this.#plan.signal)));
      return;
    }
    try {
      this.#resolve(new UnaryResponse(this.#decoded(message), end));
    } catch (error) {
      this.#reject(error);
    }
  }

  #decoded(message) {
    const plan = this.#plan;
    return this.#scope === undefined ? message : this.#scope.runInAsyncScope(plan.decoded, plan, message);
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
    const call = new UnaryCall(channel, plan, resolve, reject);
    if (plan.credentials.length === 0) call.start(bytes);
    else startWithCredentials(channel, plan, call, bytes).catch(reject);
  });
}

async function startWithCredentials(channel, plan, call, bytes) {
  if (plan.signal?.aborted) throw abortError(plan.signal);
  hold();
  try {
    await plan.addCredentials(channel);
    call.start(bytes);
  } finally {
    release();
  }
}

module.exports = { UnaryResponse, callUnary, causeOf };
