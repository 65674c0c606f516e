"use strict";

/** The soak cases, [SOAK-1] to [SOAK-7]: many large calls one after the other, on one channel or each on a channel of its own. */

const fs = require("node:fs");
const { setTimeout: pause } = require("node:timers/promises");
const { bodySize, zeros } = require("./cases.cjs");

const SOAKS = {
  async rpc_soak(open, flags) {
    const face = open();
    try {
      await soak(flags, () => ({ face, release() {} }));
    } finally {
      face.close();
    }
  },

  // Making a channel is part of its iteration, closing it is not.
  channel_soak: (open, flags) =>
    soak(flags, () => {
      const face = open();
      return { face, release: () => face.close() };
    }),
};

/** Runs all iterations; `acquire` gives each its face. */
async function soak(flags, acquire) {
  const iterations = flags.soak_iterations;
  const most = flags.soak_per_iteration_max_acceptable_latency_ms;
  const share = iterations / flags.soak_num_threads;
  if (!Number.isInteger(share)) throw new Error(`${iterations} iterations cannot be shared equally by ${flags.soak_num_threads} workers`);
  const until = performance.now() + (flags.soak_overall_timeout_seconds ?? (iterations * most) / 1000) * 1000;
  const lines = [];
  let failures = 0;

  async function work() {
    for (let turn = 0; turn < share && performance.now() <= until; turn++) {
      const started = performance.now();
      const { face, release } = acquire();
      const { peer, error } = await call(face, flags);
      const elapsed = performance.now() - started;
      const failure = error ?? (elapsed > most ? `slower than ${most} ms` : undefined);
      if (failure !== undefined) failures++;
      const verdict = failure === undefined ? "succeeded" : `failed: ${failure.replaceAll("\n", " ")}`;
      const times = `elapsed_ms: ${Math.round(elapsed)} peer: ${peer ?? "none"} server_uri: ${flags.target}`;
      lines.push(`soak iteration: ${lines.length} ${times} ${verdict}\n`);
      release();
      const rest = flags.soak_min_time_ms_between_rpcs - (performance.now() - started);
      if (rest > 0) await pause(rest);
    }
  }
  await Promise.all(Array.from({ length: flags.soak_num_threads }, work));

  if (flags.soak_log === undefined) process.stdout.write(lines.join(""));
  else fs.appendFileSync(flags.soak_log, lines.join(""));
  if (lines.length < iterations || failures > flags.soak_max_failures) {
    throw new Error(`${lines.length} of ${iterations} iterations ran and ${failures} of them failed`);
  }
}

/** One large call without a deadline: who answered it, and what was wrong. */
async function call(face, { soak_request_size, soak_response_size }) {
  try {
    const { message, peer } = await face.unary("UnaryCall", { responseSize: soak_response_size, payload: zeros(soak_request_size) });
    const size = bodySize(message);
    return { peer, error: size === soak_response_size ? undefined : `${size} bytes came` };
  } catch (error) {
    return { error: error.message };
  }
}

module.exports = { SOAKS };
