"use strict";

/** Credentials of calls: metadata generated anew for each call, before its first attempt. */

const { Code, codeName } = require("./codes.cjs");
const { grpcEntries } = require("./grpc-js-metadata.cjs");
const { Metadata } = require("./metadata.cjs");

/** Codes that only a server may use; credentials that fail with one of them fail INTERNAL, as in grpc-js. */
const SERVER_ONLY = new Set([
  Code.OK,
  Code.INVALID_ARGUMENT,
  Code.NOT_FOUND,
  Code.ALREADY_EXISTS,
  Code.FAILED_PRECONDITION,
  Code.ABORTED,
  Code.OUT_OF_RANGE,
  Code.DATA_LOSS,
]);

/** Something with `generateMetadata`, or undefined. A function is taken as that method. */
function checkCallCredentials(credentials, name) {
  if (credentials === undefined || credentials === null) return undefined;
  if (typeof credentials === "function") return { generateMetadata: async (where) => credentials(where) };
  if (typeof credentials.generateMetadata === "function") return credentials;
  throw new TypeError(`${name} must be a function or an object with generateMetadata`);
}

/**
 * Runs all credentials of a call and answers with the entries they made. Rejects with an Error whose `status` is the
 * code the call ends with.
 */
async function generateCallMetadata(credentials, path, authority) {
  const where = { method_name: path, service_url: serviceUrl(path, authority) };
  try {
    const generated = await Promise.all(credentials.map((each) => each.generateMetadata(where)));
    return generated.flatMap((metadata) => [...entriesOf(metadata)]);
  } catch (error) {
    throw failureOf(error);
  }
}

function entriesOf(metadata) {
  return typeof metadata?.getMap === "function" ? grpcEntries(metadata) : new Metadata(metadata);
}

function failureOf(error) {
  const code = typeof error?.code === "number" ? error.code : Code.UNKNOWN;
  const details = `Getting metadata from plugin failed with error: ${error?.message ?? error}`;
  const failure = SERVER_ONLY.has(code)
    ? new Error(`Invalid status from control plane: ${code} ${codeName(code)} ${details}`)
    : new Error(details);
  failure.status = SERVER_ONLY.has(code) ? Code.INTERNAL : code;
  return failure;
}

/** Credentials name the service without the port, always as https. */
function serviceUrl(path, authority) {
  const host = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(authority)?.[1] ?? authority;
  const service = path.slice(1, Math.max(1, path.lastIndexOf("/")));
  return `https://${host}/${service}`;
}

module.exports = { checkCallCredentials, generateCallMetadata };
