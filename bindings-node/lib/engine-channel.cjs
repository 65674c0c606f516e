"use strict";

/** A channel on the engine together with what JavaScript knows about it; shared by a public channel and its calls. */

const { NativeChannel } = require("./native.cjs");
const { queue } = require("./environment.cjs");
const { argumentError } = require("./errors.cjs");
const { NATIVE_FACE, readOptions } = require("./options.cjs");

class EngineChannel {
  constructor(target, options = {}, face = NATIVE_FACE) {
    if (typeof target !== "string") {
      throw new TypeError(`the target of a channel must be a string, not ${target === null ? "null" : typeof target}`);
    }
    const { callCredentials, credentials, isSecure, settings } = readOptions(options);
    try {
      this.native = new NativeChannel(queue, target, credentials, settings, face);
    } catch (error) {
      throw argumentError(error);
    }
    /** Kept here: each call of a grpc-js client asks for it. Nobody else closes a channel while it can be called. */
    this.isClosed = false;
    this.callCredentials = callCredentials;
    /** Whether calls that say nothing are compressed. */
    this.compresses = settings.some(({ key, value }) => key === "grpc.default_compression_algorithm" && Number(value) !== 0);
    this.isSecure = isSecure;
    this.target = this.native.canonicalTarget;
    this.authority = this.native.authority;
  }

  close() {
    this.isClosed = true;
    this.native.close();
  }
}

module.exports = { EngineChannel };
