"use strict";

/** The workloads: which channels, how many callers, and what of it is counted. */

const fs = require("node:fs");
const v8 = require("node:v8");
const vm = require("node:vm");
const { setTimeout: sleep } = require("node:timers/promises");
const { since, used } = require("./usage.cjs");

/** Of the calls that show that a channel is connected. */
const PROBE_BYTES = 64;

const HOSTS_PER_NET = 254;

/** The channels to the server's addresses, each opened when first needed and kept. */
class Channels {
  #open;
  #addresses;
  #kept = new Map();

  constructor(open, addresses) {
    this.#open = open;
    this.#addresses = addresses;
  }

  async to(name) {
    let channel = this.#kept.get(name);
    if (channel === undefined) {
      channel = await this.#open(this.#addresses[name], name === "tls" ? { ca: fs.readFileSync(this.#addresses.ca) } : {});
      this.#kept.set(name, channel);
    }
    return channel;
  }

  /** One more, to the echo server, that shares its connection with no other. */
  separate() {
    return this.#open(this.#addresses.echo, { separate: true });
  }

  /** One over so many addresses, of which the first is the echo server's and nobody listens at the others. */
  overAddresses(count) {
    const [, port] = this.#addresses.echo.split(":");
    const others = Array.from({ length: count - 1 }, (_, index) => {
      return `127.0.${1 + Math.floor(index / HOSTS_PER_NET)}.${1 + (index % HOSTS_PER_NET)}:9`;
    });
    return this.#open(`ipv4:${[`127.0.0.1:${port}`, ...others].join(",")}`, {});
  }

  close() {
    for (const channel of this.#kept.values()) channel.close();
  }
}

const WORKLOADS = {
  unary: async (channels, command) => unary(await channels.to("echo"), command),

  unary_tls: async (channels, command) => unary(await channels.to("tls"), command),

  async server_stream(channels, command) {
    const channel = await channels.to("stream");
    return inWindow(command, (tally) => [channel.serverStream(tally, command.messages)]);
  },

  async ping_pong(channels, command) {
    const channel = await channels.to("echo");
    return inWindow(command, (tally) => [channel.pingPong(tally, command.size)]);
  },

  async blast(channels, command) {
    const channel = await channels.to("echo");
    return inWindow(command, (tally) => [channel.blast(tally, command.size, command.messages)]);
  },

  memory: (channels, command) => withConnected(channels, command.channels, (opened) => opened),

  idle(channels, { channels: count, seconds }) {
    return withConnected(channels, count, async ({ bytes, wall_s }) => {
      const before = used();
      await sleep(seconds * 1000);
      return { ...since(before), bytes, open_s: wall_s };
    });
  },

  async pick(channels, command) {
    const channel = await channels.overAddresses(command.addresses);
    try {
      return await unary(channel, { size: PROBE_BYTES, ...command });
    } finally {
      channel.close();
    }
  },
};

function unary(channel, command) {
  return inWindow(command, (tally) => Array.from({ length: command.in_flight }, () => channel.unary(tally, command.size)));
}

/** Lets the callers of `start` run; what is counted is what they did between warming up and the end of the time. */
async function inWindow({ warmup_s, seconds }, start) {
  const tally = { operations: 0, isOver: false };
  const callers = start(tally);
  const failure = Promise.all(callers).then(() => Promise.reject(new Error("the callers ended before the time was over")));
  failure.catch(() => {});
  try {
    await Promise.race([sleep(warmup_s * 1000), failure]);
    const operationsBefore = tally.operations;
    const before = used();
    await Promise.race([sleep(seconds * 1000), failure]);
    const usage = since(before);
    tally.isOver = true;
    const operations = tally.operations - operationsBefore;
    await Promise.all(callers);
    return { operations, ...usage };
  } finally {
    tally.isOver = true;
    await Promise.allSettled(callers);
  }
}

/** Opens so many channels, one after the other, and looks at them while they are open. */
async function withConnected(channels, count, look) {
  // The first one needs memory that it does not give back: code is compiled for it.
  (await connected(channels)).close();
  const opened = [];
  try {
    const bytesBefore = await residentBytes();
    const before = used();
    while (opened.length < count) opened.push(await connected(channels));
    const usage = since(before);
    const bytes = (await residentBytes()) - bytesBefore;
    return { operations: count, ...(await look({ ...usage, bytes })) };
  } finally {
    for (const channel of opened) channel.close();
  }
}

/** A channel of its own connection, over which a call was made. */
async function connected(channels) {
  const channel = await channels.separate();
  await channel.unary({ operations: 0, isOver: true }, PROBE_BYTES);
  return channel;
}

/** Without what is only waiting for the garbage collector. */
async function residentBytes() {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc");
  // Finalizers run after a collection, in a turn of their own, and may free what only the next one finds.
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise(setImmediate);
  }
  return process.memoryUsage.rss();
}

module.exports = { Channels, WORKLOADS };
