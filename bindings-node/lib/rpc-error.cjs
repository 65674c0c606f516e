"use strict";

const { argumentError, isArgumentError, statusOf } = require("./errors.cjs");
const { codeName, knownCode } = require("./codes.cjs");
const { Metadata } = require("./metadata.cjs");

/** A call that ended with a status other than OK. */
class RpcError extends Error {
  constructor(code, details, metadata = new Metadata(), peer = undefined, options = undefined) {
    super(`${code} ${codeName(code)}: ${details}`, options);
    this.code = code;
    this.details = details;
    this.metadata = metadata;
    if (peer) this.peer = peer;
  }

  static {
    Object.defineProperty(this.prototype, "name", { value: "RpcError", configurable: true, writable: true });
  }
}

/** The error of a call whose end the engine reported. `cause` is the reason of an abort, if there was one. */
function errorOfEnd(end, cause) {
  const options = cause === undefined ? undefined : { cause };
  return new RpcError(knownCode(end.code), end.details, end.trailer(), end.peer, options);
}

/** What the native API throws for an operation that the addon refused: a TypeError, or the status that says why. */
function translate(error) {
  if (isArgumentError(error)) return argumentError(error);
  return new RpcError(statusOf(error), error.message, undefined, undefined, { cause: error });
}

module.exports = { RpcError, errorOfEnd, translate };
