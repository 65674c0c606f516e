"use strict";

/** How a call ended. The words of it stay one string until somebody asks. */

const { BlockReader } = require("./block.cjs");
const { Metadata } = require("./metadata.cjs");

/** Bits of the flags field, as in `src/events.rs`. */
const LOCAL = 1;
const HAS_INITIAL = 2;

class CallEnd {
  #text;
  #flags;
  #words;

  /** `text` holds peer, details, trailing metadata and, for a unary call, initial metadata (`src/events.rs`). */
  constructor(code, flags, text) {
    this.code = code;
    this.#flags = flags;
    this.#text = text;
  }

  get isOk() {
    return this.code === 0;
  }

  /** The status was made by this library, not by the server. */
  get isLocal() {
    return (this.#flags & LOCAL) !== 0;
  }

  get peer() {
    return this.#read().peer;
  }

  get details() {
    return this.#read().details;
  }

  get trailerBlock() {
    return this.#read().trailer;
  }

  get headerBlock() {
    return this.#read().header;
  }

  trailer() {
    return Metadata.fromBlock(this.trailerBlock);
  }

  header() {
    return Metadata.fromBlock(this.headerBlock);
  }

  #read() {
    if (this.#words === undefined) {
      const reader = new BlockReader(this.#text);
      this.#words = {
        peer: reader.nextText(),
        details: reader.nextText(),
        trailer: reader.next(),
        header: (this.#flags & HAS_INITIAL) !== 0 ? reader.next() : "",
      };
      this.#text = "";
    }
    return this.#words;
  }
}

module.exports = { CallEnd };
