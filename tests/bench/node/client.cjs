"use strict";

/**
 * What every client of the benchmarks does: it is told the server's addresses, obeys one command per line and answers
 * each with one line (tests/bench/README.md). How calls are made is all that a client brings itself.
 *
 * A client is `{ client, version, load, unsupported }`. `load()` loads its library and answers with `open(target, {
 * ca, separate })`: a channel over TLS if there is a `ca`, on connections of its own if `separate`. A channel has
 * `unary(tally, size)`, `serverStream(tally, messages)`, `pingPong(tally, size)`, `blast(tally, size, messages)` and
 * `close()`. The first four are callers: they count in `tally.operations`, check what comes back, and resolve at the
 * first end of a call after `tally.isOver`.
 */

const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const { since, used } = require("./usage.cjs");

/** What is called: the server looks at no path. */
const METHOD = "/bench.Echo/Call";

const STREAM_MESSAGE_BYTES = 64;
const FIRST_CALL_BYTES = 64;

const UNSUPPORTED = { unary_threads: "JavaScript has one thread" };

const ADDRESSES = {
  echo: { type: "string" },
  stream: { type: "string" },
  tls: { type: "string" },
  ca: { type: "string" },
};

async function run(client) {
  const { values } = parseArgs({ options: { ...ADDRESSES, start: { type: "boolean", default: false } } });
  if (values.start) say(await startOnce(client, values));
  else await obey(client, values);
}

/** Takes the time from nothing to the first answer. Nothing of the library is loaded before. */
async function startOnce({ load }, { echo }) {
  const before = used();
  const open = await load();
  const loaded = since(before);
  const channel = await open(echo, {});
  await channel.unary({ operations: 0, isOver: true }, FIRST_CALL_BYTES);
  const { wall_s, user_s, system_s } = since(before);
  channel.close();
  return { import_s: loaded.wall_s, first_call_s: wall_s - loaded.wall_s, user_s, system_s };
}

async function obey({ client, version, load, unsupported = {} }, addresses) {
  say({ client, version });
  const { Channels, WORKLOADS } = require("./workloads.cjs");
  const channels = new Channels(await load(), addresses);
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    if (line.trim() !== "") say(await answer(line));
  }
  channels.close();

  async function answer(line) {
    try {
      const command = JSON.parse(line);
      const why = { ...UNSUPPORTED, ...unsupported }[command.workload];
      if (why !== undefined) return { unsupported: why };
      const workload = WORKLOADS[command.workload];
      if (workload === undefined) return { unsupported: `no workload ${command.workload} here` };
      return await workload(channels, command);
    } catch (error) {
      return { error: String(error?.message ?? error) };
    }
  }
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** The version of the package in a folder, seen from here; asking the package itself would load it. */
function versionIn(folder) {
  return JSON.parse(fs.readFileSync(path.join(__dirname, folder, "package.json"), "utf8")).version;
}

function wrongLength(actual, expected) {
  return new Error(`a message of ${actual} bytes came back instead of one of ${expected}`);
}

function wrongCount(actual, expected) {
  return new Error(`${actual} messages came instead of ${expected}`);
}

module.exports = { METHOD, STREAM_MESSAGE_BYTES, run, versionIn, wrongCount, wrongLength };
