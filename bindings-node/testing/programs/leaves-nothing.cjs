"use strict";

// Many calls of every kind and every end; then: what is still there? Run with --expose-gc.

const { Channel } = require("../../index.cjs");
const { openCounts } = require("../../lib/environment.cjs");
const { EchoClient, grpc } = require("../server.cjs");

const WARM_UP_ROUNDS = 50;
const ROUNDS = 250;
// What calls leave behind grows with every batch; what V8 keeps for itself, code and its feedback, does not.
const BATCHES = 4;
const GUARD_MS = 20_000;
const EMPTY = Buffer.alloc(0);
const UNARY = "/test.Echo/Unary";

async function everyKind(channel, client) {
  await channel.unary(UNARY, Buffer.alloc(100));
  await channel.unary("/test.Echo/Nothing", EMPTY).catch(() => {});
  await channel.unary(UNARY, EMPTY, { timeoutMs: 0 }).catch(() => {});
  await channel.unary(UNARY, EMPTY, { signal: AbortSignal.abort() }).catch(() => {});
  for await (const _ of channel.serverStreaming("/test.Echo/ServerStream", Buffer.from("abc"))) break;
  await channel.clientStreaming("/test.Echo/ClientStream", [Buffer.alloc(10), Buffer.alloc(10)]);
  const call = channel.open("/test.Echo/Bidi");
  await call.write(Buffer.from("x"));
  call.cancel();
  await new Promise((resolve) => client.Unary(EMPTY, resolve));
  await new Promise((resolve) => client.Unary(EMPTY, { deadline: 0 }, resolve));
  await new Promise((resolve) => client.Unary(EMPTY, resolve).cancel());
  await channel.ready();
}

async function settled() {
  // Cancelled calls end when the engine says so.
  const guard = Date.now() + GUARD_MS;
  while (openCounts().calls > 0 && Date.now() < guard) await new Promise(setImmediate);
  globalThis.gc();
  await new Promise(setImmediate);
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

async function main(address) {
  // A connection for each batch: Node's server gives up one that has reset a thousand streams in a short time.
  const peers = Array.from({ length: BATCHES }, () => {
    const channel = new Channel(address);
    return [channel, new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel })];
  });
  for (let i = 0; i < WARM_UP_ROUNDS; i++) await everyKind(...peers[i % BATCHES]);
  let heapGrowth = Infinity;
  for (const [channel, client] of peers) {
    const before = await settled();
    for (let i = 0; i < ROUNDS; i++) await everyKind(channel, client);
    heapGrowth = Math.min(heapGrowth, (await settled()) - before);
  }
  process.stdout.write(JSON.stringify({ ...openCounts(), heapGrowth }));
}

main(process.argv[2]);
