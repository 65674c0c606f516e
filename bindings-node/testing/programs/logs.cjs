"use strict";

// A logger on the JavaScript thread: what does it hear, of what levels, and what does it cost when it throws?

const { Channel, setLogger } = require("../../index.cjs");
const { isMainThread } = require("node:worker_threads");

const warnings = [];
process.on("warning", (warning) => warnings.push(warning.message.split("\n", 1)[0]));

/** Resolves once a channel to an address nobody listens at has told of it. */
async function failToConnect() {
  const channel = new Channel("ipv4:127.0.0.1:1");
  await channel.unary("/a/b", new Uint8Array(0)).catch(() => {});
  channel.close();
  // Lines are taken in the turn that delivers the call's end, at its end.
  await new Promise(setImmediate);
}

async function main() {
  const refusals = [];
  for (const [logger, level] of [[5, "info"], [() => {}, "loud"], [() => {}, 3]]) {
    try {
      setLogger(logger, level);
    } catch (error) {
      refusals.push(`${error.name}: ${error.message}`);
    }
  }
  const heard = { info: [], debug: [], thrown: 0, after: 0 };
  let isOnThread = true;
  setLogger((level, room, text) => {
    isOnThread &&= isMainThread;
    heard.info.push([level, room, text]);
  });
  await failToConnect();
  setLogger((level, room, text) => heard.debug.push([level, room, text]), "debug");
  await failToConnect();
  setLogger(() => {
    heard.thrown += 1;
    throw new Error("the logger's own");
  }, "debug");
  await failToConnect();
  const before = heard.info.length + heard.debug.length + heard.thrown;
  setLogger(null);
  await failToConnect();
  heard.after = heard.info.length + heard.debug.length + heard.thrown - before;
  console.log(JSON.stringify({ refusals, heard, isOnThread, warnings }));
}

main();
