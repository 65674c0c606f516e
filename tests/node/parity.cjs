"use strict";

/** Answers what happens in each case of a file, for comparison with the other languages: node parity.cjs FILE */

const fs = require("node:fs");
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
  const [name, target, method, timeout, requestHex, options = ""] = line.split("\t");
  const isClosed = target.startsWith(CLOSED);
  let channel;
  try {
    channel = new Channel(isClosed ? target.slice(CLOSED.length) : target, parsed(options));
  } catch (error) {
    return { case: name, error_at: "create", kind_or_code: kindOf(error), text: error.message, final_state: "", events: [] };
  }
  if (isClosed) channel.close();
  const outcome = await called(channel, method, Buffer.from(requestHex, "hex"), timeout);
  const result = {
    case: name,
    ...outcome,
    final_state: nameOf(State, channel.state),
    events: channel.events().map(({ text }) => text),
  };
  channel.close();
  return result;
}

async function called(channel, method, request, timeout) {
  const options = timeout === "-" ? {} : { timeoutMs: Number(timeout) };
  try {
    await channel.unary(method, request, options);
    return { error_at: "", kind_or_code: "OK", text: "" };
  } catch (error) {
    if (error instanceof RpcError && error.cause === undefined) {
      return { error_at: "status", kind_or_code: nameOf(Code, error.code), text: error.details };
    }
    // An error of the engine, not a status: as itself, or as the cause of the status Node's users meet.
    const ownError = error.cause ?? error;
    return { error_at: "call", kind_or_code: kindOf(ownError), text: ownError.message };
  }
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
