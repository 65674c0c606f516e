"use strict";

// Counts the threads of the process: before and after loading the addon, with a channel, after calls.

const fs = require("node:fs");

const TASKS = "/proc/self/task";
const UNARY = "/test.Echo/Unary";

const threads = () => fs.readdirSync(TASKS).length;
const enginesThreads = () =>
  fs.readdirSync(TASKS).filter((id) => fs.readFileSync(`${TASKS}/${id}/comm`, "utf8").startsWith("linkspan")).length;

async function main(address) {
  const before = threads();
  const { Channel } = require("../../index.cjs");
  const loaded = threads();
  const channel = new Channel(address);
  const constructed = threads();
  await channel.unary(UNARY, Buffer.alloc(0));
  const afterOneCall = enginesThreads();
  await Promise.all(Array.from({ length: 3 }, () => new Channel(address).unary(UNARY, Buffer.alloc(0))));
  const afterManyChannels = enginesThreads();
  process.stdout.write(JSON.stringify({ before, loaded, constructed, afterOneCall, afterManyChannels }));
}

main(process.argv[2]);
