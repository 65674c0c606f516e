"use strict";

/** How a call ended. */

const { Metadata } = require("./metadata.cjs");

/** A bit of the flags field, as in `src/events.rs`. */
const LOCAL = 1;

class CallEnd {
  #flags;
  #words;

  /** `words` are those of `readEnd` (`lib/words.cjs`); other ends may have the same. */
  constructor(code, flags, words) {
    this.code = code;
    this.#flags = flags;
    this.#words = words;
  }

  get isOk() {
    return this.code === 0;
  }

  /** The status was made by this library, not by the server. */
  get isLocal() {
    return (this.#flags & LOCAL) !== 0;
  }

  get peer() {
    return this.#words.peer;
  }

  get details() {
    return this.#words.details;
  }

  get trailerBlock() {
    return this.#words.trailer;
  }

  trailer() {
    return Metadata.fromBlock(this.#words.trailer);
  }

  header() {
    return Metadata.fromBlock(this.#words.header);
  }
}

module.exports = { CallEnd };
