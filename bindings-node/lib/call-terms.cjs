"use strict";

/** How a call is to be made, except for its messages, as the addon takes it (`src/call.rs`). */

const { methodNumber } = require("./environment.cjs");

/** Bits of the flags. */
const WAIT_IS_SAID = 1;
const WAIT_FOR_READY = 2;
const SINGLE_RESPONSE = 4;
/** How the call is compressed is in the bits from here on. */
const COMPRESSION_SHIFT = 8;

/** Numbers for `compression`: as the channel does, not at all, gzip. */
const Compression = Object.freeze({ OF_CHANNEL: 0, NONE: 1, GZIP: 3 });

/**
 * `timeout` is in milliseconds; infinite for the channel's default, zero or less for a deadline that has passed.
 * `singleResponse`: an OK without exactly one message is none.
 */
class CallTerms {
  constructor(path, metadata, timeout, waitForReady, authority, singleResponse, compression = Compression.OF_CHANNEL) {
    this.method = methodNumber(path, authority);
    this.metadata = metadata === "" ? undefined : metadata;
    this.timeout = timeout;
    const wait = waitForReady === undefined ? 0 : WAIT_IS_SAID | (waitForReady ? WAIT_FOR_READY : 0);
    this.flags = wait | (singleResponse ? SINGLE_RESPONSE : 0) | (compression << COMPRESSION_SHIFT);
  }
}

module.exports = { CallTerms, Compression };
