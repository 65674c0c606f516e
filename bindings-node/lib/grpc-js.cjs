"use strict";

/** For users of @grpc/grpc-js, without loading it: which copy of it a program uses is the program's business. */

const { Channel } = require("./channel.cjs");
const { EngineChannel } = require("./engine-channel.cjs");
const { GRPC_JS_FACE, usableOptions } = require("./options.cjs");
const { nativeCredentials } = require("./tls.cjs");

/** Stands where @grpc/grpc-js expects channel credentials; only `channelFactory` can make use of it. */
class TlsCredentials {
  #tls;
  #callCredentials;

  constructor(tls, callCredentials) {
    this.#tls = tls;
    this.#callCredentials = callCredentials;
  }

  compose(callCredentials) {
    const composed = this.#callCredentials?.compose?.(callCredentials) ?? callCredentials;
    return new TlsCredentials(this.#tls, composed);
  }

  _isSecure() {
    return true;
  }

  _equals(other) {
    return other instanceof TlsCredentials && other.#tls === this.#tls && other.#callCredentials === this.#callCredentials;
  }

  static materialOf(credentials) {
    if (!(credentials instanceof TlsCredentials)) return undefined;
    return { tls: credentials.#tls, callCredentials: credentials.#callCredentials };
  }
}

/** The channel itself, under the type that libraries around grpc-js ask for. */
function asGrpcChannel(channel) {
  return channel;
}

function tlsCredentials(options = {}) {
  // Checked here, where the mistake is, and not when the first client is made.
  nativeCredentials(options);
  return new TlsCredentials(options);
}

/** For grpc-js's `channelFactoryOverride`. `options` are the channel's, before those of each client. */
function channelFactory(options = {}) {
  return (address, credentials, clientOptions = {}) => {
    const chosen = { ...usableOptions(clientOptions), ...options, ...securityOf(credentials, options) };
    return new Channel(new EngineChannel(address, chosen, GRPC_JS_FACE));
  };
}

/** Trust is never guessed: it was given to us, or there is none. */
function securityOf(credentials, options) {
  const material = TlsCredentials.materialOf(credentials);
  if (material !== undefined) {
    return { tls: material.tls, callCredentials: material.callCredentials ?? options.callCredentials };
  }
  const callCredentials = callCredentialsIn(credentials) ?? options.callCredentials;
  if (options.tls !== undefined && options.tls !== false) return { callCredentials };
  if (credentials?._isSecure?.() === false) return { tls: false, callCredentials };
  throw new TypeError(
    "the certificates in these grpc-js credentials cannot be read back: make them with tlsCredentials of linkspan/grpc-js, " +
      "or give channelFactory the option tls",
  );
}

/** The call credentials inside composed ones: by a connector since grpc-js 1.13, by a method of their own before. */
function callCredentialsIn(credentials) {
  if (typeof credentials?._getCallCredentials === "function") return credentials._getCallCredentials();
  if (typeof credentials?._createSecureConnector !== "function" || credentials._isSecure?.() === false) return undefined;
  const connector = credentials._createSecureConnector({ scheme: "dns", path: "localhost" }, {});
  try {
    return connector.getCallCredentials();
  } finally {
    connector.destroy();
  }
}

module.exports = { asGrpcChannel, channelFactory, tlsCredentials };
