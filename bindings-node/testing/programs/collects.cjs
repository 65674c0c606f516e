"use strict";

// Channels nobody refers to any more are collected. Run with --expose-gc.

const { Channel } = require("../../index.cjs");
const { openCounts } = require("../../lib/environment.cjs");

const GUARD_MS = 20_000;

async function useAndForget(address) {
  await new Channel(address).unary("/test.Echo/Unary", Buffer.alloc(0));
}

async function main(address) {
  for (let i = 0; i < 20; i++) await useAndForget(address);
  const before = openCounts().channels;
  const guard = Date.now() + GUARD_MS;
  while (openCounts().channels > 0 && Date.now() < guard) {
    globalThis.gc();
    await new Promise(setImmediate);
  }
  process.stdout.write(`${JSON.stringify({ before, after: openCounts().channels })}\n`);
  // Lives on until it is killed, so that the server sees which connections are closed while the process lives.
  setInterval(() => {}, GUARD_MS);
}

main(process.argv[2]);
