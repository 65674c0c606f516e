"use strict";

/**
 * One call on the engine, any kind but the unary shortcut: credit, write queue and slot, the same for both faces.
 *
 * A face extends it with `onHeaders(words)`, `pump()` (there may be something to hand over), and `finished(end)`
 * (the engine's last word; the slot is free again). User code is never run from in here.
 */

const { AsyncResource } = require("node:async_hooks");
const { claimSlot, freeSlot, queue, rethrow } = require("./environment.cjs");

/** Of the addon (`src/call.rs`): the number of `Sending` that says the message is with the engine, and flags of messages. */
const TAKEN = 0;
const LAST = 8;
const UNCOMPRESSED = 16;

/** Stands for a `done` that nobody waits for. */
const UNHEARD = () => {};

/**
 * The engine is asked for so much in advance of the reader, and no more. Every request for more is a crossing that may
 * wake the engine: with 8 messages at a time a stream of small ones cost twice as much as with 64.
 */
const AHEAD_BYTES = 64 * 1024;
const AHEAD_MESSAGES = 64;
/** The steps in which that is reached: what begins with one small message often goes on with large ones. */
const AHEAD_GROWTH = 8;

/** A writer that is never told to wait gets its answers in ticks, and after so many the event loop gets a turn. */
const TICKS_IN_A_ROW = 64;
let ticksInARow = 0;

class EngineStream extends AsyncResource {
  /** Messages that arrived and were not handed over. */
  inbox = [];
  /** Messages somebody waits for. */
  wanted = 0;

  #slot = -1;
  #hasEnded = false;
  /** Messages the engine may still deliver without being asked again. */
  #granted = 0;
  /** How many to ask for at a time; one, until the size of a message is known. */
  #ahead = 1;
  /** Messages behind the one the engine has no room for, and what to call when that one was taken. */
  #outbox = [];
  #parked;
  #halfCloses = false;
  /** What to call at the next occasion, in this order. */
  #due = [];

  /**
   * Starts the call; the message's flags are LAST, which half-closes after it, or at once without one, and UNCOMPRESSED. Throws the addon's error when the
   * engine refuses; then no event will come.
   */
  launch(native, { method, metadata, timeout, flags }, message, messageFlags, credit) {
    const slot = claimSlot(this);
    try {
      native.startStream(slot, method, timeout, flags | messageFlags, metadata, message, credit);
    } catch (error) {
      freeSlot(slot);
      throw error;
    }
    this.#slot = slot;
    this.#granted = credit;
  }

  get isRunning() {
    return this.#slot >= 0;
  }

  /** Nothing will be written any more: the engine reported the end, or the face gave the call up before its start. */
  get hasEnded() {
    return this.#hasEnded;
  }

  /** Hands a message to the engine. `done` is called once, never from in here, when the next one may come. */
  write(bytes, done, flags = 0) {
    if (this.#parked !== undefined || this.#outbox.length > 0) {
      this.#outbox.push({ bytes: Buffer.from(bytes), done, flags });
    } else {
      this.#give(bytes, done, flags);
    }
  }

  halfClose() {
    if (this.#parked === undefined && this.#outbox.length === 0) {
      if (this.isRunning) queue.halfClose(this.#slot);
    } else {
      this.#halfCloses = true;
    }
  }

  /** Makes sure that what is wanted can arrive, and a few more, so that a steady reader never waits for credit. */
  topUp() {
    if (!this.isRunning) return;
    const coming = this.#granted + this.inbox.length;
    const goal = Math.max(this.wanted, this.#ahead);
    if (coming >= this.wanted && coming > goal / 2) return;
    const credit = goal - coming;
    this.#granted += credit;
    queue.read(this.#slot, credit);
  }

  /** Asks the engine to end the call with this status; `finished` follows as for any end. */
  cancelOnEngine(code, details) {
    if (this.isRunning) queue.cancel(this.#slot, code, details);
  }

  /** Takes over `done` of a message that never got as far as the engine. */
  settle(done) {
    this.#later(done);
  }

  /** The call is over without the engine: it was never launched. */
  abandon() {
    this.#end();
  }

  onMessage(message) {
    this.#granted -= 1;
    this.#ahead = Math.min(AHEAD_MESSAGES, this.#ahead * AHEAD_GROWTH, messagesIn(AHEAD_BYTES, message.length));
    this.inbox.push(message);
    this.pump();
  }

  onWritable() {
    const done = this.#parked;
    this.#parked = undefined;
    if (done !== undefined) this.#later(done);
    while (this.#outbox.length > 0 && this.#parked === undefined) {
      const entry = this.#outbox.shift();
      this.#give(entry.bytes, entry.done, entry.flags);
    }
    if (this.#halfCloses && this.#parked === undefined && this.isRunning) {
      this.#halfCloses = false;
      queue.halfClose(this.#slot);
    }
  }

  onStatus(end) {
    this.#end();
    this.finished(end);
  }

  #give(bytes, done, flags) {
    const outcome = this.isRunning ? queue.send(this.#slot, bytes, flags) : TAKEN;
    if (outcome === TAKEN) {
      this.#later(done);
    } else {
      // Kept by the engine's side until there is room. Or the call has ended, and its end is on the way: an answer
      // before that would invite the next message, and so on, without a turn for the event loop to deliver the end.
      this.#parked = done;
    }
  }

  #end() {
    this.#slot = -1;
    this.#hasEnded = true;
    if (this.#parked !== undefined) this.#later(this.#parked);
    this.#parked = undefined;
    if (this.#outbox.length > 0) for (const { done } of this.#outbox.splice(0)) this.#later(done);
  }

  #later(done) {
    if (done === UNHEARD) return;
    if (this.#due.push(done) > 1) return;
    ticksInARow += 1;
    if (ticksInARow % TICKS_IN_A_ROW === 0) setImmediate(callAll, this.#due);
    else process.nextTick(callAll, this.#due);
  }
}

/** How many messages of that length are so many bytes: one at least. */
function messagesIn(bytes, length) {
  return Math.max(1, Math.floor(bytes / Math.max(1, length)));
}

/** Empties the list before calling what was in it: calls may add to it. */
function callAll(due) {
  for (const done of due.splice(0)) {
    try {
      done();
    } catch (error) {
      process.nextTick(rethrow, error);
    }
  }
}

module.exports = { EngineStream, LAST, UNCOMPRESSED, UNHEARD };
