"use strict";

/** What the caller of the native API asked for, checked once and in the form the addon wants. */

const { CallTerms, Compression } = require("./call-terms.cjs");
const { generateCallMetadata, checkCallCredentials } = require("./call-credentials.cjs");
const { entryBlock } = require("./block.cjs");
const { Code } = require("./codes.cjs");
const { Metadata } = require("./metadata.cjs");
const { RpcError } = require("./rpc-error.cjs");

const NONE = Object.freeze({});
const NO_CREDENTIALS = Object.freeze([]);

class CallPlan {
  #path;
  #metadata;
  #expires;
  #waitForReady;
  #authority;
  #compression;
  /** Of a stream: set for a method with one response message. */
  singleResponse;

  /** Throws a TypeError for what is not allowed. */
  constructor(channel, method, options = NONE) {
    if (options === null || typeof options !== "object") throw new TypeError("call options must be an object");
    const { path, encode, decode } = checkMethod(method);
    this.#path = path;
    this.encode = encode;
    this.decode = decode;
    this.#metadata = Metadata.blockOf(options.metadata);
    this.#expires = expiryOf(options);
    this.#waitForReady = checkType(options.waitForReady, "boolean", "waitForReady");
    this.#authority = checkType(options.authority, "string", "authority");
    this.#compression = compressionOf(checkType(options.compress, "boolean", "compress"), channel);
    this.signal = checkSignal(options.signal);
    this.credentials = credentialsOf(options, channel);
  }

  /** In the addon's form, as of now. */
  terms() {
    const timeout = this.#expires === Infinity ? Infinity : this.#expires - performance.now();
    return new CallTerms(
      this.#path, this.#metadata, timeout, this.#waitForReady, this.#authority, this.singleResponse, this.#compression,
    );
  }

  /** Adds what the credentials generate. Rejects with the RpcError the call fails with. */
  async addCredentials(channel) {
    let entries;
    try {
      entries = await generateCallMetadata(this.credentials, this.#path, this.#authority ?? channel.authority);
    } catch (error) {
      throw new RpcError(error.status ?? Code.INTERNAL, error.message, undefined, undefined, { cause: error });
    }
    for (const [key, value] of entries) this.#metadata += entryBlock(key, value);
  }

  /** A message of the caller as bytes. */
  encoded(message) {
    const bytes = this.encode === undefined ? message : this.encode(message);
    if (!(bytes instanceof Uint8Array)) {
      const what = this.encode === undefined ? "a message" : "what encode returns";
      throw new TypeError(`${what} must be a Uint8Array, not ${bytes === null ? "null" : typeof bytes}`);
    }
    return bytes;
  }

  /** A message of the server as the caller wants it. A decoder that throws fails the call. */
  decoded(bytes) {
    if (this.decode === undefined) return bytes;
    try {
      return this.decode(bytes);
    } catch (error) {
      const details = `Response message parsing error: ${error?.message ?? error}`;
      throw new RpcError(Code.INTERNAL, details, undefined, undefined, { cause: error });
    }
  }
}

/** As the channel does where that compresses, and else with gzip, which every server of gRPC knows. */
function compressionOf(compress, channel) {
  if (compress === false) return Compression.NONE;
  return compress && !channel.compresses ? Compression.GZIP : Compression.OF_CHANNEL;
}

function checkMethod(method) {
  if (typeof method === "string") return { path: method };
  if (method === null || typeof method !== "object") {
    throw new TypeError(`a method must be a path or an object with path, encode and decode, not ${typeof method}`);
  }
  const { path, encode, decode } = method;
  if (typeof path !== "string") throw new TypeError(`the path of a method must be a string, not ${typeof path}`);
  if (typeof encode !== "function" || typeof decode !== "function") {
    throw new TypeError(`the method ${path} must have functions encode and decode`);
  }
  return { path, encode: (message) => method.encode(message), decode: (bytes) => method.decode(bytes) };
}

function credentialsOf({ callCredentials }, channel) {
  const ofCall = checkCallCredentials(callCredentials, "callCredentials");
  if (ofCall === undefined && channel.callCredentials === undefined) return NO_CREDENTIALS;
  return [ofCall, channel.callCredentials].filter(Boolean);
}

/** When the call's time is up, on the clock of `performance.now`. */
function expiryOf({ timeoutMs, deadline }) {
  if (timeoutMs !== undefined && deadline !== undefined) {
    throw new TypeError("timeoutMs and deadline are two words for one thing: give one of them");
  }
  if (timeoutMs !== undefined) {
    if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs) || timeoutMs < 0) {
      throw new TypeError(`timeoutMs must be a number of milliseconds, 0 or more, not ${String(timeoutMs)}`);
    }
    return performance.now() + timeoutMs;
  }
  if (deadline === undefined) return Infinity;
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  if (typeof at !== "number" || Number.isNaN(at)) {
    throw new TypeError("deadline must be a valid Date or a number of milliseconds since 1970");
  }
  return performance.now() + (at - Date.now());
}

function checkSignal(signal) {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal !== "object" || typeof signal.addEventListener !== "function" || typeof signal.aborted !== "boolean") {
    throw new TypeError("signal must be an AbortSignal");
  }
  return signal;
}

function checkType(value, type, name) {
  if (value !== undefined && typeof value !== type) {
    throw new TypeError(`${name} must be a ${type}, not ${value === null ? "null" : typeof value}`);
  }
  return value;
}

module.exports = { CallPlan };
