"use strict";

/** Metadata of the native API: keys in lower case, order kept, repeated keys kept apart. */

const { checkMetadata } = require("./native.cjs");
const { entryBlock, forEachEntry, isBinaryKey, latin1 } = require("./block.cjs");
const { argumentError } = require("./errors.cjs");

class Metadata {
  /** By key; undefined until somebody looks, for then the block says everything. */
  #values;
  /** All of it as it crosses to the addon; undefined after a change, until it is needed again. */
  #block;

  constructor(init) {
    this.#block = "";
    if (init !== undefined && init !== null) this.#fill(init);
  }

  get(key) {
    return this.#read().get(normalKey(key))?.[0];
  }

  getAll(key) {
    return [...(this.#read().get(normalKey(key)) ?? [])];
  }

  has(key) {
    return this.#read().has(normalKey(key));
  }

  set(key, value) {
    const [name, checked] = checkEntry(key, value);
    this.#write().set(name, [checked]);
  }

  append(key, value) {
    const [name, checked] = checkEntry(key, value);
    const values = this.#write();
    const present = values.get(name);
    if (present) present.push(checked);
    else values.set(name, [checked]);
  }

  delete(key) {
    this.#write().delete(normalKey(key));
  }

  keys() {
    return this.#read().keys();
  }

  *[Symbol.iterator]() {
    for (const [key, values] of this.#read()) {
      for (const value of values) yield [key, value];
    }
  }

  toJSON() {
    const result = {};
    for (const [key, values] of this.#read()) {
      result[key] = values.map((value) => (typeof value === "string" ? value : value.toString("base64")));
    }
    return result;
  }

  [Symbol.for("nodejs.util.inspect.custom")](_depth, options, inspect) {
    return `Metadata ${inspect(Object.fromEntries(this.#read()), options)}`;
  }

  /** What the addon received; nothing is decoded before somebody looks. */
  static fromBlock(block) {
    const metadata = new Metadata();
    metadata.#block = block;
    return metadata;
  }

  /** The block to send for whatever a caller may give as metadata. */
  static blockOf(init) {
    if (init === undefined || init === null) return "";
    const metadata = init instanceof Metadata ? init : new Metadata(init);
    return metadata.#toBlock();
  }

  #fill(init) {
    if (init instanceof Metadata) {
      this.#block = init.#toBlock();
      return;
    }
    for (const [key, value] of entriesOf(init)) this.append(key, value);
  }

  #read() {
    if (this.#values === undefined) {
      this.#values = new Map();
      forEachEntry(this.#block, (key, value) => {
        const present = this.#values.get(key);
        if (present) present.push(value);
        else this.#values.set(key, [value]);
      });
    }
    return this.#values;
  }

  #write() {
    const values = this.#read();
    this.#block = undefined;
    return values;
  }

  #toBlock() {
    if (this.#block === undefined) {
      this.#block = "";
      for (const [key, value] of this) this.#block += entryBlock(key, value);
    }
    return this.#block;
  }
}

/** Key and value pairs of everything `MetadataInit` allows. */
function* entriesOf(init) {
  if (typeof init !== "object") {
    throw new TypeError(`metadata must be a Metadata, Headers, an object or pairs, not ${typeof init}`);
  }
  if (typeof init[Symbol.iterator] === "function") {
    for (const pair of init) {
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw new TypeError("metadata pairs must be arrays of a key and a value");
      }
      yield pair;
    }
    return;
  }
  for (const [key, value] of Object.entries(init)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const one of value) yield [key, one];
    else yield [key, value];
  }
}

/** The entry as it is kept: key in lower case, bytes copied. What is allowed is the engine's to say. */
function checkEntry(key, value) {
  const name = normalKey(key);
  const binary = isBinaryKey(name);
  if (binary && !(value instanceof Uint8Array)) {
    throw new TypeError(`metadata key "${name}" ends in "-bin", so its value must be a Uint8Array, not ${typeof value}`);
  }
  if (!binary && typeof value !== "string") {
    const given = value instanceof Uint8Array ? "a Uint8Array (only keys ending in \"-bin\" have those)" : typeof value;
    throw new TypeError(`the value of metadata key "${name}" must be a string, not ${given}`);
  }
  try {
    checkMetadata(name, binary ? latin1(value) : value);
  } catch (error) {
    throw argumentError(error);
  }
  return [name, binary ? Buffer.from(value) : value];
}

function normalKey(key) {
  if (typeof key !== "string") throw new TypeError(`a metadata key must be a string, not ${typeof key}`);
  return key.toLowerCase();
}

module.exports = { Metadata };
