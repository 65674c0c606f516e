"use strict";

/** Log lines: to a program's own function, and to stderr where the environment asks for them. */

const assert = require("node:assert/strict");
const test = require("node:test");
const { answerOf, run } = require("../testing/child.cjs");

/** Nothing of the test's own environment. */
const UNSET = { LINKSPAN_LOG: "", GRPC_VERBOSITY: "", GRPC_TRACE: "", GRPC_NODE_VERBOSITY: "", GRPC_NODE_TRACE: "" };

test("a logger hears what it asks for, on its own thread, and loses only the line at which it throws", async () => {
  const { refusals, heard, isOnThread, warnings } = await answerOf("logs.cjs", [], { env: UNSET });
  assert.equal(refusals.length, 3);
  assert.match(refusals[1], /^TypeError: a log level is one of error, warn, info, debug, trace, not "loud"/);
  assert.ok(isOnThread);
  assert.ok(heard.info.length > 0 && heard.info.every(([level]) => ["info", "warn", "error"].includes(level)), JSON.stringify(heard));
  assert.ok(heard.info.some(([, room, text]) => room === "connectivity_state" && /^channel \d+ ipv4:127\.0\.0\.1:1: /.test(text)));
  assert.ok(heard.debug.some(([level, room]) => level === "debug" && room === "subchannel"), JSON.stringify(heard));
  assert.ok(heard.thrown > 1, JSON.stringify(heard));
  assert.deepEqual(warnings, ["linkspan's logger threw: Error: the logger's own"]);
  assert.equal(heard.after, 0);
});

test("LINKSPAN_LOG has lines written to stderr, and so have Node's own variables; else there is silence", async () => {
  const stderrWith = async (env) => (await run("logs.cjs", [], { env: { ...UNSET, ...env } })).stderr;
  const lines = /^\d\d:\d\d:\d\d\.\d{3}Z D \d+ subchannel: channel \d+ ipv4:127\.0\.0\.1:1: /m;
  assert.doesNotMatch(await stderrWith({}), /Z [A-Z] \d+ /);
  assert.match(await stderrWith({ LINKSPAN_LOG: "subchannel=debug" }), lines);
  assert.match(await stderrWith({ GRPC_NODE_VERBOSITY: "DEBUG", GRPC_VERBOSITY: "NONE" }), lines);
});
