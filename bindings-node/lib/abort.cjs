"use strict";

/** A call's tie to the caller's AbortSignal; cut when the call ends, so that no listener stays behind. */

const { Code } = require("./codes.cjs");
const { RpcError } = require("./rpc-error.cjs");

const ABORTED = "the call was aborted by its signal";

class AbortTie {
  #signal;
  #onAbort;

  constructor(signal, onAbort) {
    this.#signal = signal;
    this.#onAbort = onAbort;
    signal.addEventListener("abort", onAbort, { once: true });
  }

  cut() {
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}

function tieTo(signal, onAbort) {
  return signal === undefined ? undefined : new AbortTie(signal, onAbort);
}

/** What a call that was aborted before it began fails with. */
function abortError(signal) {
  return new RpcError(Code.CANCELLED, ABORTED, undefined, undefined, { cause: signal.reason });
}

module.exports = { ABORTED, abortError, tieTo };
