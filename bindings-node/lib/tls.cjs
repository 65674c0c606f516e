"use strict";

/** TLS as users write it, and the certificates trusted when they name none. */

const fs = require("node:fs");
const { NativeCredentials } = require("./native.cjs");

const FIELDS = new Set(
  ["ca", "caFile", "cert", "certFile", "key", "keyFile", "servername", "rejectUnauthorized", "minVersion", "checkServerIdentity"],
);

/** The versions of TLS that may be the oldest, as node:tls writes them. */
const VERSIONS = ["TLSv1.2", "TLSv1.3"];

let insecure;
/** Credentials with the default trust, by the file that replaces it; parsing some 150 certificates takes a while. */
const defaultTrust = new Map();

/** The addon's credentials for the option `tls`. */
function nativeCredentials(option) {
  if (option === undefined || option === false) return (insecure ??= NativeCredentials.insecure());
  if (option === true) return defaultCredentials();
  const { ca, caFile, cert, certFile, key, keyFile, servername, rejectUnauthorized = true, minVersion } = checkTlsOptions(option);
  const isDefault = ([field, value]) => value === undefined || (field === "rejectUnauthorized" && value);
  if (Object.entries(option).every(isDefault)) return defaultCredentials();
  return NativeCredentials.tls({
    ca: ca === undefined ? (caFile === undefined ? defaultRoots() : undefined) : pemBytes("ca", ca),
    caFile,
    cert: cert === undefined ? undefined : pemBytes("cert", cert),
    certFile,
    key: key === undefined ? undefined : pemBytes("key", key),
    keyFile,
    servername,
    rejectUnauthorized,
    needsTls13: minVersion === "TLSv1.3",
  });
}

/** Throws a TypeError naming the field, never its content. */
function checkTlsOptions(option) {
  if (option === null || typeof option !== "object") {
    throw new TypeError(`option tls must be a boolean or an object, not ${option === null ? "null" : typeof option}`);
  }
  for (const field of Object.keys(option)) {
    if (!FIELDS.has(field)) throw new TypeError(`unknown field tls.${field}; there are ${[...FIELDS].join(", ")}`);
  }
  if (option.checkServerIdentity !== undefined) {
    throw new TypeError("tls.checkServerIdentity is not supported: the engine checks the name by itself; set tls.servername");
  }
  for (const field of ["servername", "caFile", "certFile", "keyFile", "minVersion"]) checkField(option, field, "string");
  checkField(option, "rejectUnauthorized", "boolean");
  if (option.minVersion !== undefined && !VERSIONS.includes(option.minVersion)) {
    throw new TypeError(`tls.minVersion may be ${VERSIONS.join(" or ")}; it is ${JSON.stringify(option.minVersion)}`);
  }
  return option;
}

function checkField(option, field, type) {
  if (option[field] !== undefined && typeof option[field] !== type) {
    throw new TypeError(`tls.${field} must be a ${type}, not ${typeof option[field]}`);
  }
}

function pemBytes(field, value) {
  const parts = Array.isArray(value) ? value : [value];
  const buffers = parts.map((part) => {
    if (typeof part === "string") return Buffer.from(`${part}\n`);
    if (part instanceof Uint8Array) return Buffer.concat([part, Buffer.from("\n")]);
    throw new TypeError(`tls.${field} must be PEM text or bytes${field === "ca" ? ", or an array of them" : ""}`);
  });
  return Buffer.concat(buffers);
}

function defaultCredentials() {
  const file = process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH ?? "";
  let credentials = defaultTrust.get(file);
  if (credentials === undefined) {
    credentials = NativeCredentials.tls({ ca: defaultRoots(), rejectUnauthorized: true, needsTls13: false });
    defaultTrust.set(file, credentials);
  }
  return credentials;
}

/** What Node trusts, unless the variable gRPC has for that names another file. */
function defaultRoots() {
  const file = process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH;
  if (file) return fs.readFileSync(file);
  // Not before it is needed: it takes 5 ms to load, of the 18 that loading this package took with it.
  const tls = require("node:tls");
  if (typeof tls.getCACertificates === "function") return Buffer.from(tls.getCACertificates("default").join("\n"));
  return Buffer.from([...tls.rootCertificates, ...extraRoots()].join("\n"));
}

/** Node itself only warns about an extra file that it cannot read, and so does this. */
function extraRoots() {
  const file = process.env.NODE_EXTRA_CA_CERTS;
  if (!file) return [];
  try {
    return [fs.readFileSync(file, "utf8")];
  } catch (error) {
    process.emitWarning(`the file in NODE_EXTRA_CA_CERTS could not be read: ${error.message}`);
    return [];
  }
}

module.exports = { nativeCredentials };
