"use strict";

/** Channel options as users write them, checked and sorted into what the addon wants. */

const { checkCallCredentials } = require("./call-credentials.cjs");
const { nativeCredentials } = require("./tls.cjs");
const { checkOption, optionKind } = require("./native.cjs");

/** `new Channel`: linkspan's own defaults, and errors in linkspan's own words. */
const NATIVE_FACE = Object.freeze({ preset: "resilient", dialect: "native" });

/** Channels made in the place of grpc-js's own: its defaults, and the words its users look for. */
const GRPC_JS_FACE = Object.freeze({ preset: "grpc", dialect: "grpc-js" });

const VALUE_TYPES = new Set(["boolean", "number", "string"]);

/** Throws a TypeError that names the first option which is not allowed. */
function readOptions(options) {
  if (options === null || typeof options !== "object") {
    throw new TypeError(`channel options must be an object, not ${options === null ? "null" : typeof options}`);
  }
  const { tls, callCredentials, ...rest } = options;
  return {
    callCredentials: checkCallCredentials(callCredentials, "option callCredentials"),
    credentials: nativeCredentials(tls),
    isSecure: tls !== undefined && tls !== false,
    settings: settingsOf(rest),
  };
}

function settingsOf(options) {
  const settings = [];
  for (const [key, value] of Object.entries(options)) {
    if (!isOptionKey(key)) {
      throw new TypeError(`unknown channel option "${key}"; options are tls, callCredentials and keys of grpc or linkspan.`);
    }
    if (value === undefined) continue;
    if (VALUE_TYPES.has(typeof value)) settings.push({ key, value });
    else refuseIfHonoured(key, value);
  }
  return settings;
}

/** Keys meant for other parts of a program may hold anything; one that the engine reads may not. */
function refuseIfHonoured(key, value) {
  const kind = optionKind(key);
  if (kind !== null || key.startsWith("linkspan.")) {
    const given = value === null ? "null" : typeof value;
    throw new TypeError(`channel option "${key}" must be ${kind ?? "a boolean, number or string"}, not ${given}`);
  }
}

/** Options of somebody else's client: what would be refused is left out, and one warning tells of it. */
function usableOptions(options) {
  const usable = {};
  const ignored = [];
  for (const [key, value] of Object.entries(options)) {
    if (isUsable(key, value)) usable[key] = value;
    else ignored.push(key);
  }
  if (ignored.length > 0) {
    const keys = ignored.map((key) => `"${key}"`).join(", ");
    process.emitWarning(`these channel options mean nothing to linkspan as they are and have no effect: ${keys}`);
  }
  return usable;
}

function isUsable(key, value) {
  if (!isOptionKey(key)) return false;
  if (!VALUE_TYPES.has(typeof value)) return value === undefined || optionKind(key) === null;
  try {
    checkOption({ key, value });
    return true;
  } catch {
    return false;
  }
}

function isOptionKey(key) {
  return key.startsWith("grpc") || key.startsWith("linkspan.");
}

module.exports = { GRPC_JS_FACE, NATIVE_FACE, readOptions, usableOptions };
