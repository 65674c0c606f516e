"use strict";

/** What the process as a whole does: when it ends, which threads it has, what it hears of thrown errors. */

const assert = require("node:assert/strict");
const test = require("node:test");
const { answerOf, run, running } = require("../testing/child.cjs");
const { deferred, serverFor, silentServer } = require("../testing/server.cjs");

const needsProc = { skip: process.platform === "linux" ? false : "threads are counted in /proc" };

test("loading the addon starts no thread, nor does a channel; calls share one", needsProc, async (t) => {
  const { address } = await serverFor(t);
  const { before, loaded, constructed, afterOneCall, afterManyChannels } = await answerOf("threads.cjs", [address]);
  assert.equal(loaded, before);
  assert.equal(constructed, before);
  assert.equal(afterOneCall, 1);
  assert.equal(afterManyChannels, 1);
});

for (const situation of ["construct", "connect", "call", "stream", "ready", "unstarted", "watchWithoutDeadline", "keepalive"]) {
  test(`a process ends by itself, without close: ${situation}`, async (t) => {
    const { address } = await serverFor(t);
    const { code, stderr } = await run("ends.cjs", [situation, address]);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
  });
}

test("a process whose connection attempt hangs ends by itself", async (t) => {
  const { code, stderr } = await run("ends.cjs", ["connect", await silentServer(t)]);
  assert.equal(code, 0, stderr);
});

test("a pending watch with a deadline, and a pending call, hold the process", async (t) => {
  const address = await silentServer(t);
  assert.match((await answerOf("ends.cjs", ["watchWithDeadline", address])).said, /Deadline passed/);
  assert.equal((await answerOf("ends.cjs", ["failingCall", address])).said, "4");
});

test("errors thrown by callbacks are uncaughtExceptions with their own stacks, and no other event is lost", async (t) => {
  const { address } = await serverFor(t);
  const { calls, ended, heard, warnings } = await answerOf("throws.cjs", [address]);
  assert.equal(ended, calls);
  const expected = [];
  for (let i = 0; i < calls; i++) {
    if (i % 2 === 0) expected.push(`thrown by message ${i}`);
    if (i % 4 === 0) expected.push(`thrown by status ${i}`);
  }
  assert.deepEqual(heard.map(({ message }) => message).sort(), expected.sort());
  assert.ok(heard.every(({ hasOwnStack }) => hasOwnStack));
  assert.deepEqual(warnings, []);
});

test("an error thrown by a callback that nobody handles ends the process", async (t) => {
  const { address } = await serverFor(t);
  const { code, stderr } = await run("throws-unhandled.cjs", [address]);
  assert.equal(code, 1);
  assert.match(stderr, /nobody handles this/);
  assert.match(stderr, /ownCallback/);
});

test("process.exit in the middle of calls neither hangs nor crashes", async (t) => {
  const { address } = await serverFor(t);
  for (let round = 0; round < 5; round++) {
    const { code, signal, stdout, stderr } = await run("exits.cjs", [address]);
    assert.deepEqual([code, signal], [0, null], stderr);
    assert.equal(JSON.parse(stdout).answers, 500);
  }
});

test("fifty workers are terminated under load; the main thread's calls go on", async (t) => {
  const { address } = await serverFor(t);
  const { workers, mainCalls, failed } = await answerOf("workers.cjs", [address]);
  assert.equal(workers, 50);
  assert.ok(mainCalls > 0);
  assert.equal(failed, 0);
});

test("the calls of a terminated worker are reset", async (t) => {
  const cancelled = deferred();
  const { address } = await serverFor(t, {
    Bidi(call) {
      call.on("cancelled", cancelled.resolve);
      call.on("data", (message) => call.write(message));
    },
  });
  assert.equal((await answerOf("worker-ends.cjs", [address])).answer, "after");
  await cancelled.promise;
});

test("channels nobody refers to are collected, and their connections closed", async (t) => {
  const sessions = new Set();
  const allClosed = deferred();
  const server = require("node:http2").createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => {
      sessions.delete(session);
      if (sessions.size === 0) allClosed.resolve();
    });
  });
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { before, after } = await running(t, "collects.cjs", [`127.0.0.1:${server.address().port}`], { node: ["--expose-gc"] });
  assert.ok(before > 0);
  assert.equal(after, 0);
  await allClosed.promise;
});

test("many calls of every kind and every end leave nothing behind", async (t) => {
  const { address } = await serverFor(t);
  const left = await answerOf("leaves-nothing.cjs", [address], { node: ["--expose-gc"] });
  const { slots, calls, channels, holders, heapGrowth } = left;
  assert.deepEqual({ slots, calls, channels, holders }, { slots: 0, calls: 0, channels: 4, holders: 0 });
  // The smallest growth of any batch of 2,750 calls; 64 bytes forgotten by each would be more.
  assert.ok(heapGrowth < 150_000, `the heap grew by ${heapGrowth} bytes`);
});

test("every entry gives the same classes to import and require, and loads no grpc-js", async () => {
  assert.deepEqual(await answerOf("entries.mjs"), {
    main: ["Channel", "Code", "Metadata", "RpcError", "State", "setLogger"],
    grpcJs: ["asGrpcChannel", "channelFactory", "tlsCredentials"],
    loadedGrpcJs: false,
  });
});

test("an addon that cannot be loaded is one Error that lists what was tried", async () => {
  const { code, stderr } = await run("threads.cjs", ["localhost:1"], { env: { LINKSPAN_NATIVE: "/no/such/file.node" } });
  assert.equal(code, 1);
  assert.match(stderr, /linkspan could not load its native addon/);
  assert.match(stderr, /LINKSPAN_NATIVE=\/no\/such\/file\.node/);
  assert.match(stderr, /optional dependenc/);
});

test("an addon of another version is refused", async () => {
  const env = { LINKSPAN_NATIVE: require.resolve("../testing/other-version.cjs") };
  const { code, stderr } = await run("threads.cjs", ["localhost:1"], { env });
  assert.equal(code, 1);
  assert.match(stderr, /the addon is version 9\.9\.9/);
});

test("a feed that always has more lets the event loop deliver the end of its call", async (t) => {
  const { address } = await serverFor(t, {
    ClientStream: (call, callback) => void call.once("data", () => callback({ code: 10, details: "that is enough" })),
  });
  assert.equal((await answerOf("feeds.cjs", [address])).details, "that is enough");
});
