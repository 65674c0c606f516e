"use strict";

/** Which JavaScript error each kind of engine error becomes. `error.code` names the kind (`src/errors.rs`). */

const { Code } = require("./codes.cjs");

/** Engine errors that are about the caller's arguments. */
const ARGUMENT_ERRORS = new Set([
  "ERR_LINKSPAN_BAD_OPTION",
  "ERR_LINKSPAN_METADATA",
  "ERR_LINKSPAN_STATE",
  "ERR_LINKSPAN_UNSUPPORTED",
]);

/** Engine errors that callers meet as a status, because that is what gRPC clients look for. */
const STATUS_ERRORS = new Map([
  ["ERR_LINKSPAN_CLOSED", Code.UNAVAILABLE],
  ["ERR_LINKSPAN_LIMIT", Code.RESOURCE_EXHAUSTED],
  ["ERR_LINKSPAN_FORKED", Code.CANCELLED],
]);

/** A TypeError for an error about arguments; anything else as it is. */
function argumentError(error) {
  if (!isArgumentError(error)) return error;
  const translated = new TypeError(error.message);
  translated.code = error.code;
  return translated;
}

function isArgumentError(error) {
  return ARGUMENT_ERRORS.has(error?.code);
}

/** The status that a call ends with which the engine did not start for this reason. */
function statusOf(error) {
  return STATUS_ERRORS.get(error?.code) ?? Code.INTERNAL;
}

module.exports = { argumentError, isArgumentError, statusOf };
