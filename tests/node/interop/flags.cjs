"use strict";

/** The command line: flags as --name=value, with the names gRPC's interop clients have, then cases. */

const fs = require("node:fs");

const NUMBERS = {
  soak_iterations: 10,
  soak_max_failures: 0,
  soak_per_iteration_max_acceptable_latency_ms: 1000,
  // Without it: what all iterations may take together.
  soak_overall_timeout_seconds: undefined,
  soak_min_time_ms_between_rpcs: 0,
  soak_request_size: 271828,
  soak_response_size: 314159,
  soak_num_threads: 1,
};
const TEXTS = ["ca_file", "server_host_override", "soak_log"];

/** Everything by its name, with `target` and `cases`. Throws what is wrong. */
function readFlags(words) {
  const flags = { ...NUMBERS };
  const [target, ...cases] = words.filter((word) => !word.startsWith("--"));
  if (target === undefined) throw new Error("the server's address is missing");
  for (const word of words.filter((word) => word.startsWith("--"))) {
    const [, name, value] = word.match(/^--(\w+)=(.*)$/) ?? [];
    if (name in NUMBERS && Number(value) >= 0) flags[name] = Number(value);
    else if (TEXTS.includes(name)) flags[name] = value;
    else throw new Error(`${word}: there is no such flag, or no such value for it`);
  }
  return { ...flags, target, cases };
}

/** What every channel is made with. */
function channelOptions({ ca_file, server_host_override }) {
  const tls = ca_file === undefined ? {} : { tls: { ca: fs.readFileSync(ca_file) } };
  return server_host_override === undefined ? tls : { ...tls, "grpc.ssl_target_name_override": server_host_override };
}

module.exports = { channelOptions, readFlags };
