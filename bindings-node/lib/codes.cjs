"use strict";

/** gRPC's status codes and connectivity states, by their own names and numbers. */

const Code = Object.freeze({
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
});

const State = Object.freeze({ IDLE: 0, CONNECTING: 1, READY: 2, TRANSIENT_FAILURE: 3, SHUTDOWN: 4 });

const NAMES = Object.keys(Code);

/** The code a number stands for; a number gRPC does not know is UNKNOWN. */
function knownCode(number) {
  return NAMES[number] === undefined ? Code.UNKNOWN : number;
}

function codeName(number) {
  return NAMES[knownCode(number)];
}

module.exports = { Code, State, knownCode, codeName };
