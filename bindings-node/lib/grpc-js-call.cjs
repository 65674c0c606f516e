"use strict";

/**
 * A call as clients of @grpc/grpc-js drive it: nine methods and a listener.
 *
 * What is asked for before the end of the tick in which the call was started crosses to the engine at once: for a
 * unary call that is everything. Nothing is called back from inside one of the methods.
 */

const { hold, queue, release, rethrow } = require("./environment.cjs");
const { CallTerms } = require("./call-terms.cjs");
const { EngineStream, LAST, UNCOMPRESSED, UNHEARD } = require("./stream.cjs");
const { Code, knownCode } = require("./codes.cjs");
const { statusOf } = require("./errors.cjs");
const { blockOfGrpcMetadata, grpcMetadata } = require("./grpc-js-metadata.cjs");
const { generateCallMetadata } = require("./call-credentials.cjs");

/** grpc-js's propagation flags; all of them are set unless the caller says otherwise. */
const PROPAGATE_DEADLINE = 1;
const PROPAGATE_CANCELLATION = 8;
const PROPAGATE_DEFAULTS = 0xffff;

/** grpc-js's `WriteFlags.NoCompress`. */
const NO_COMPRESS = 2;

/** The longest time Node can wait for; a deadline further away is none, as in grpc-js. */
const LONGEST_TIMEOUT = 0x7fffffff;

/** A message at most this long is copied to wait for the end of the tick; a longer one crosses on the spot. */
const WAITING_MESSAGE = 4 * 1024;

const toLaunch = [];
let lastCallNumber = 0;

class GrpcCall extends EngineStream {
  #channel;
  #method;
  #deadline;
  #host;
  #number = ++lastCallNumber;
  #parent;
  #onParentCancelled;

  #metadata;
  #metadataClass;
  #listener;
  #credentials;

  /** Where the call stands with the engine: not yet (held messages wait), or launched. */
  #isLaunched = false;
  #awaitsCredentials = false;
  #held = [];
  #isHalfClosed = false;

  #peer;
  /** The status asked for by `cancelWithStatus`. */
  #cancel;
  /** How the call ended, from when that is known until it was reported. */
  #end;
  #isReported = false;
  #isPumping = false;
  #isPumpDue = false;

  constructor(channel, method, deadline, host, parentCall, propagateFlags) {
    super("LINKSPAN_CALL");
    this.#channel = channel;
    this.#method = method;
    this.#deadline = deadline instanceof Date ? deadline.getTime() : deadline;
    this.#host = host ?? undefined;
    if (parentCall) this.#follow(parentCall, propagateFlags ?? PROPAGATE_DEFAULTS);
  }

  start(metadata, listener) {
    if (this.#listener !== undefined) throw new Error("start was called twice on one call");
    if (typeof metadata?.clone !== "function") {
      throw new TypeError("the metadata given to start must be a Metadata object of @grpc/grpc-js");
    }
    this.#metadata = metadata.clone();
    this.#metadataClass = this.#metadata.constructor;
    this.#listener = listener;
    hold();
    if (this.#cancel !== undefined) {
      this.#endUnlaunched();
      return;
    }
    const { callCredentials } = this.#channel;
    if (this.#credentials || callCredentials) this.#launchWith([this.#credentials, callCredentials].filter(Boolean));
    else launchAfterTick(this);
  }

  sendMessageWithContext(context, message) {
    const done = this.#writeCallback(context?.callback);
    if (!(message instanceof Uint8Array)) {
      this.cancelWithStatus(Code.INTERNAL, `Request message serialization failure: not a Uint8Array but ${typeof message}`);
      this.settle(done);
    } else if (this.#isHalfClosed) {
      this.cancelWithStatus(Code.INTERNAL, "Write error: write after end");
      this.settle(done);
    } else if (this.#isLaunched || this.hasEnded) {
      this.write(message, done, flagsOf(context));
    } else {
      this.#hold(message, done, flagsOf(context));
    }
  }

  startRead() {
    this.wanted += 1;
    if (this.inbox.length > 0) this.#pumpSoon();
    else this.topUp();
  }

  halfClose() {
    if (this.#isHalfClosed) return;
    this.#isHalfClosed = true;
    if (this.#isLaunched) super.halfClose();
    else if (this.#canLaunch) this.launchNow();
  }

  cancelWithStatus(code, details) {
    if (this.#isReported || this.#cancel !== undefined) return;
    this.#cancel = { code, details };
    if (this.#end !== undefined) {
      // An OK that waits for its messages to be taken gives way.
      this.inbox.length = 0;
      this.#pumpSoon();
    } else if (this.isRunning) {
      this.cancelOnEngine(knownCode(code), details);
    } else if (this.#listener !== undefined) {
      this.#endUnlaunched();
    }
  }

  getPeer() {
    return this.#peer || this.#channel.target;
  }

  getCallNumber() {
    return this.#number;
  }

  setCredentials(credentials) {
    if (this.#listener !== undefined) throw new Error("setCredentials must be called before start");
    this.#credentials = credentials;
  }

  getAuthContext() {
    if (this.#peer === undefined) return null;
    return this.#channel.isSecure ? { transportSecurityType: "ssl" } : {};
  }

  /** Lets what is launched from now on wake the engine together, at `queue.uncork`. */
  cork() {
    this.#channel.native.cork();
  }

  /** Crosses to the engine with everything that was asked for so far. */
  launchNow() {
    if (this.#isLaunched || this.hasEnded) return;
    this.#isLaunched = true;
    const first = this.#held.shift();
    const last = this.#isHalfClosed && this.#held.length === 0;
    const flags = (first?.flags ?? 0) | (last ? LAST : 0);
    try {
      this.launch(this.#channel.native, this.#terms(), first?.bytes, flags, this.wanted);
    } catch (error) {
      this.#endUnlaunched({ code: statusOf(error), details: error.message });
      if (first !== undefined) this.settle(first.done);
      return;
    }
    if (first !== undefined) this.settle(first.done);
    if (this.#held.length > 0) for (const { bytes, done, flags: ofIt } of this.#held.splice(0)) this.write(bytes, done, ofIt);
    if (this.#isHalfClosed && !last) super.halfClose();
  }

  onHeaders({ peer, header }) {
    this.#peer = peer;
    this.#tell(this.#listener.onReceiveMetadata, grpcMetadata(this.#metadataClass, header));
  }

  finished(end) {
    if (end.peer) this.#peer = end.peer;
    release();
    this.#end = end;
    // An OK waits until every message has been taken; any other status overtakes them.
    if (!end.isOk || this.#cancel !== undefined) this.inbox.length = 0;
    this.pump();
  }

  /** Hands over what is wanted and there, then the status if its time has come. */
  pump() {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.wanted > 0 && this.inbox.length > 0) {
      this.wanted -= 1;
      this.#tell(this.#listener.onReceiveMessage, this.inbox.shift());
    }
    this.#isPumping = false;
    if (this.#end !== undefined && this.inbox.length === 0) this.#report();
  }

  #terms() {
    const metadata = blockOfGrpcMetadata(this.#metadata);
    const waitForReady = this.#metadata.getOptions?.().waitForReady ? true : undefined;
    return new CallTerms(this.#method, metadata, timeoutUntil(this.#deadline), waitForReady, this.#host);
  }

  /** Started, and nothing is missing that must be known before the first byte is sent. */
  get #canLaunch() {
    return this.#listener !== undefined && !this.#awaitsCredentials && !this.hasEnded;
  }

  #hold(message, done, flags) {
    const crossesNow = message.length > WAITING_MESSAGE && this.#canLaunch;
    // The caller may write over it after this; what crosses is copied on the way.
    this.#held.push({ bytes: crossesNow ? message : Buffer.from(message), done, flags });
    if (crossesNow) this.launchNow();
  }

  async #launchWith(credentials) {
    this.#awaitsCredentials = true;
    try {
      const generated = await generateCallMetadata(credentials, this.#method, this.#host ?? this.#channel.authority);
      for (const [key, value] of generated) this.#metadata.add(key, value);
      if (this.#metadata.get("authorization").length > 1) {
        throw Object.assign(new Error('"authorization" metadata cannot have multiple values'), { status: Code.INTERNAL });
      }
    } catch (error) {
      this.#awaitsCredentials = false;
      this.#endUnlaunched({ code: error.status ?? Code.INTERNAL, details: error.message });
      return;
    }
    this.#awaitsCredentials = false;
    this.launchNow();
  }

  /** The call ends here, without the engine: told in a later tick, with the given status or that of a cancel. */
  #endUnlaunched(status = this.#cancel) {
    if (this.hasEnded) return;
    this.abandon();
    for (const { done } of this.#held.splice(0)) this.settle(done);
    this.#end = { ...status, isOk: false, trailerBlock: "" };
    release();
    this.#pumpSoon();
  }

  #report() {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#unfollow();
    const end = this.#end;
    // The details of a cancel come back from the engine as they were given; its code may be one gRPC does not know.
    const cancelled = this.#cancel !== undefined && (end.isOk || end.details === this.#cancel.details);
    const { code, details } = cancelled ? this.#cancel : end;
    const metadata = grpcMetadata(this.#metadataClass, cancelled ? "" : end.trailerBlock);
    this.#tell(this.#listener.onReceiveStatus, { code, details, metadata });
  }

  #pumpSoon() {
    if (this.#isPumpDue || this.#listener === undefined) return;
    this.#isPumpDue = true;
    process.nextTick(() => {
      this.#isPumpDue = false;
      this.pump();
    });
  }

  #tell(method, argument) {
    try {
      this.runInAsyncScope(method, this.#listener, argument);
    } catch (error) {
      process.nextTick(rethrow, error);
    }
  }

  #writeCallback(callback) {
    return typeof callback === "function" ? () => this.runInAsyncScope(callback) : UNHEARD;
  }

  #follow(parent, flags) {
    this.#parent = parent;
    if ((flags & PROPAGATE_CANCELLATION) !== 0) {
      this.#onParentCancelled = () => this.cancelWithStatus(Code.CANCELLED, "Cancelled by parent call");
      parent.on("cancelled", this.#onParentCancelled);
    }
    if ((flags & PROPAGATE_DEADLINE) !== 0) {
      const deadline = parent.getDeadline();
      this.#deadline = Math.min(this.#deadline, deadline instanceof Date ? deadline.getTime() : deadline);
    }
  }

  #unfollow() {
    if (this.#onParentCancelled !== undefined) this.#parent.off("cancelled", this.#onParentCancelled);
    this.#parent = undefined;
  }
}

/** One tick's calls cross together, after their starters had the chance to say everything. */
function launchAfterTick(call) {
  if (toLaunch.push(call) === 1) process.nextTick(launchAll);
}

function launchAll() {
  const calls = toLaunch.splice(0);
  if (calls.length === 1) {
    calls[0].launchNow();
    return;
  }
  // Everybody else's calls wait meanwhile, so this must be short: none of the user's callbacks run in here.
  calls[0].cork();
  try {
    for (const call of calls) call.launchNow();
  } finally {
    queue.uncork();
  }
}

/** The flags of a message, from what its writer said. */
function flagsOf(context) {
  return (context?.flags & NO_COMPRESS) !== 0 ? UNCOMPRESSED : 0;
}

/** Milliseconds until a point in time, as `CallTerms` wants them. */
function timeoutUntil(deadline) {
  if (deadline === Infinity) return Infinity;
  const timeout = deadline - Date.now();
  return timeout > LONGEST_TIMEOUT ? Infinity : timeout;
}

module.exports = { GrpcCall };
