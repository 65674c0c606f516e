"use strict";

/** Answers what happens in each case of a file, for comparison with the other languages: node parity.cjs FILE */

const fs = require("node:fs");
const { setTimeout } = require("node:timers/promises");
const { Channel, Code, RpcError, State } = require("../../bindings-node/index.cjs");
const { failed, guard } = require("./guard.cjs");

const HANG_GUARD_SECONDS = 120;
const CLOSED = "@closed ";
const KIND_PREFIX = "ERR_LINKSPAN_";

async function main([file]) {
  if (file === undefined) {
    process.stderr.write("usage: node parity.cjs FILE\n");
    process.exitCode = 2;
    return;
  }
  guard(HANG_GUARD_SECONDS);
  for (const line of fs.readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
}

async function answer(line) {
  const [name, target, method, timeout, requestHex, options = "", words = ""] = line.split("\t");
  const how = Object.fromEntries(words.split(" ").filter(Boolean).map((word) => [...word.split(/=(.*)/), true].slice(0, 2)));
  const isClosed = target.startsWith(CLOSED);
  let channel;
  try {
    channel = new Channel(isClosed ? target.slice(CLOSED.length) : target, { ...parsed(options), ...tls(how) });
  } catch (error) {
    return { case: name, error_at: "create", kind_or_code: kindOf(error), text: error.message, final_state: "", events: [] };
  }
  if (isClosed) channel.close();
  const request = how.request_size === undefined ? Buffer.from(requestHex, "hex") : Buffer.alloc(Number(how.request_size));
  const outcome = await called(channel, method, request, timeout, how);
  const result = {
    case: name,
    ...outcome,
    final_state: nameOf(State, channel.state),
    events: channel.events().map(({ text }) => text),
  };
  channel.close();
  return result;
}

async function called(channel, method, request, timeout, how) {
  const beside = new AbortController();
  const common = { metadata: Array(Number(how.metadata ?? 0)).fill(["k", "v"]) };
  if (how.wait_for_ready) common.waitForReady = true;
  const options = timeout === "-" ? common : { ...common, timeoutMs: Number(timeout) };
  for (let calls = 0; calls < Number(how.earlier ?? 0); calls++) await channel.unary(method, request, options).catch(() => {});
  // They go on beside the call that is told.
  for (let calls = 0; calls < Number(how.beside ?? 0); calls++) {
    channel.unary(method, request, { ...common, signal: beside.signal }).catch(() => {});
  }
  if (how.start_once) await fileAt(how.start_once);
  const canceller = new AbortController();
  try {
    const response = channel.unary(method, request, { ...options, signal: canceller.signal });
    response.catch(() => {});
    if (how.cancel_once) await fileAt(how.cancel_once).then(() => canceller.abort("the case says so"));
    if (how.close_once) await fileAt(how.close_once).then(() => channel.close());
    await response;
    return { error_at: "", kind_or_code: "OK", text: "" };
  } catch (error) {
    const isStatus = error instanceof RpcError && (error.cause === undefined || canceller.signal.aborted);
    if (isStatus) return { error_at: "status", kind_or_code: nameOf(Code, error.code), text: error.details, peer: error.peer ?? "" };
    // An error of the engine, not a status: as itself, or as the cause of the status Node's users meet.
    const ownError = error.cause ?? error;
    return { error_at: "call", kind_or_code: kindOf(ownError), text: ownError.message };
  } finally {
    beside.abort();
  }
}

function tls({ roots, certificate, key }) {
  if (roots === undefined) return {};
  const own = certificate && { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
  return { tls: { ca: fs.readFileSync(roots), ...own } };
}

async function fileAt(path) {
  while (!fs.existsSync(path)) await setTimeout(1);
}

/** `key=TYPE:VALUE`, separated by spaces. */
function parsed(options) {
  const result = { "linkspan.preset": "resilient" };
  for (const option of options.split(" ").filter(Boolean)) {
    const [, key, type, value] = /^([^=]+)=([ibsf]):(.*)$/.exec(option);
    result[key] = { i: Number, f: Number, b: (text) => text === "true" || text === "1", s: String }[type](value);
  }
  return result;
}

/** The engine's own name of an error's kind: ERR_LINKSPAN_BAD_TARGET is BadTarget. */
function kindOf(error) {
  if (!error.code?.startsWith?.(KIND_PREFIX)) throw error;
  const words = error.code.slice(KIND_PREFIX.length).split("_");
  return words.map((word) => word[0] + word.slice(1).toLowerCase()).join("");
}

function nameOf(numbers, number) {
  return Object.keys(numbers).find((name) => numbers[name] === number);
}

main(process.argv.slice(2)).catch(failed);
