"use strict";

/**
 * Many calls must leave nothing behind: node --expose-gc endurance.cjs HOST:PORT CALLS
 *
 * One JSON line per phase. Fails when a call failed, or when file descriptors, threads or open native calls are not
 * as many as before, or when memory grew by more than TOLERATED_GROWTH_KB. V8 doubles the space of its young objects
 * when calls are quick (2 to 32 MiB, whatever is alive); that is forbidden here, and what remains is noise of some
 * 2 MiB: pages kept after they were freed. A leak of one object a call shows: 100 bytes in 100,000 calls are 9.5 MiB.
 */

const fs = require("node:fs");
const v8 = require("node:v8");
const { Channel } = require("../../bindings-node/index.cjs");
const { openCounts } = require("../../bindings-node/lib/environment.cjs");
const { failed, guard } = require("./guard.cjs");
const { method } = require("./service.cjs");

const HANG_GUARD_SECONDS = 600;
const WARM_UP_CALLS = 2000;
const IN_FLIGHT = 64;
const TOLERATED_GROWTH_KB = 8 * 1024;
const PAGE_KB = 4;
const PAYLOAD_BYTES = 64;

const UNARY_CALL = method("UnaryCall");
const REQUEST = { responseSize: PAYLOAD_BYTES, payload: { body: Buffer.alloc(PAYLOAD_BYTES) } };

async function main([target, count]) {
  const calls = Number(count);
  if (target === undefined || !(calls > 0)) {
    process.stderr.write("usage: node --expose-gc endurance.cjs HOST:PORT CALLS\n");
    process.exitCode = 2;
    return;
  }
  if (typeof globalThis.gc !== "function") throw new Error("run this with node --expose-gc");
  guard(HANG_GUARD_SECONDS);
  v8.setFlagsFromString("--semi-space-growth-factor=1");
  const channel = new Channel(target);
  const phases = { sequential: 1, concurrent: IN_FLIGHT };
  for (const inFlight of Object.values(phases)) await callMany(channel, WARM_UP_CALLS, inFlight);
  for (const [phase, inFlight] of Object.entries(phases)) {
    if (!(await measured(channel, phase, calls, inFlight))) process.exitCode = 1;
  }
  channel.close();
}

async function measured(channel, phase, calls, inFlight) {
  const before = await usage();
  const started = performance.now();
  const failures = await callMany(channel, calls, inFlight);
  const seconds = (performance.now() - started) / 1000;
  const after = await usage();
  const line = { language: "node", phase, calls, failed: failures, seconds: Number(seconds.toFixed(1)) };
  for (const name of Object.keys(before)) line[name] = [before[name], after[name]];
  process.stdout.write(`${JSON.stringify(line)}\n`);
  const same = ["fds", "threads", "handles"].every((name) => before[name] === after[name]);
  return failures === 0 && same && after.rss_kb - before.rss_kb < TOLERATED_GROWTH_KB;
}

/** Makes so many calls, so many of them at a time. Resolves to the number that failed. */
async function callMany(channel, calls, inFlight) {
  let left = calls;
  let failures = 0;
  async function loop() {
    while (left-- > 0) {
      try {
        await channel.unary(UNARY_CALL, REQUEST);
      } catch (error) {
        if (failures++ === 0) process.stderr.write(`${error.message}\n`);
      }
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop));
  return failures;
}

async function usage() {
  // Finalizers run after the collection, in a turn of their own, and may free what only a second one finds.
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    await new Promise(setImmediate);
  }
  return {
    rss_kb: Number(fs.readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * PAGE_KB,
    fds: fs.readdirSync("/proc/self/fd").length,
    threads: fs.readdirSync("/proc/self/task").length,
    handles: openCounts().calls + openCounts().channels,
  };
}

main(process.argv.slice(2)).catch(failed);
