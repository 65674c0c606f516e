"use strict";

/**
 * Netstrings, `3:key5:value…`, one character per byte: how words cross to and from the addon (`src/metadata.rs`).
 * A metadata block is keys and values by turns; binary values are in it as they are.
 */

const OUTSIDE_ASCII = /[\x80-\xff]/;

/** Reads netstrings off a string, one after the other. */
class BlockReader {
  #text;
  #at = 0;

  constructor(text) {
    this.#text = text;
  }

  get atEnd() {
    return this.#at >= this.#text.length;
  }

  next() {
    const colon = this.#text.indexOf(":", this.#at);
    const start = colon + 1;
    this.#at = start + Number(this.#text.slice(this.#at, colon));
    return this.#text.slice(start, this.#at);
  }

  /** The next one as what its bytes say in UTF-8. */
  nextText() {
    const bytes = this.next();
    return OUTSIDE_ASCII.test(bytes) ? Buffer.from(bytes, "latin1").toString("utf8") : bytes;
  }
}

/** Calls `entry(key, value)` for each entry of a metadata block; values of "-bin" keys are Buffers. */
function forEachEntry(block, entry) {
  const reader = new BlockReader(block);
  while (!reader.atEnd) {
    const key = reader.next();
    const value = reader.next();
    entry(key, isBinaryKey(key) ? Buffer.from(value, "latin1") : value);
  }
}

/** One entry of a metadata block. */
function entryBlock(key, value) {
  const bytes = typeof value === "string" ? value : latin1(value);
  return `${key.length}:${key}${bytes.length}:${bytes}`;
}

/** Bytes as a string with one character each. */
function latin1(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function isBinaryKey(key) {
  return key.endsWith("-bin");
}

module.exports = { BlockReader, forEachEntry, entryBlock, latin1, isBinaryKey };
