"use strict";

const assert = require("node:assert/strict");
const net = require("node:net");
const test = require("node:test");
const { Channel, Code, State } = require("../index.cjs");
const { channelFor, deferred, refusedAddress, serverFor, silentServer } = require("../testing/server.cjs");

const UNARY = "/test.Echo/Unary";
const BIDI = "/test.Echo/Bidi";

/** Has a deadline, because a watch without one does not hold the event loop, and some tests have nothing else that would. */
function changed(channel, from, deadline = Date.now() + 30_000) {
  return new Promise((resolve, reject) => {
    channel.watchConnectivityState(from, deadline, (error) => (error ? reject(error) : resolve(channel.state)));
  });
}

/** The first metrics that are as wanted; fails the test when none are. */
async function seen(channel, wanted) {
  const guard = performance.now() + 30_000;
  for (;;) {
    const metrics = channel.metrics();
    if (wanted(metrics)) return metrics;
    assert.ok(performance.now() < guard, JSON.stringify(metrics));
    await new Promise(setImmediate);
  }
}

test("a new channel is IDLE and has done nothing", async (t) => {
  const channel = await channelFor(t);
  assert.equal(channel.state, State.IDLE);
  assert.equal(channel.metrics().connectAttempts, 0);
  assert.deepEqual(channel.events(), []);
});

test("ready connects and resolves at READY; asking connects too", async (t) => {
  const channel = await channelFor(t);
  await channel.ready();
  assert.equal(channel.state, State.READY);

  const other = await channelFor(t);
  assert.equal(other.getConnectivityState(true), State.IDLE);
  for (let state = State.IDLE; state !== State.READY; ) state = await changed(other, state);
});

test("ready rejects at its time limit, at its signal, and on a closed channel", async (t) => {
  const channel = new Channel(await silentServer(t));
  t.after(() => channel.close());
  await assert.rejects(channel.ready({ timeoutMs: 50 }), { code: Code.DEADLINE_EXCEEDED });
  const abort = new AbortController();
  const waiting = channel.ready({ signal: abort.signal });
  abort.abort("no longer");
  await assert.rejects(waiting, { code: Code.CANCELLED, cause: "no longer" });
  const closing = channel.ready();
  channel.close();
  await assert.rejects(closing, { code: Code.UNAVAILABLE });
  await assert.rejects(channel.ready(), { code: Code.UNAVAILABLE });
});

test("watch: calls back when the state differs, asynchronously even if it does already", async (t) => {
  const channel = await channelFor(t);
  let called = false;
  const done = new Promise((resolve) => {
    channel.watchConnectivityState(State.READY, Infinity, (error) => {
      called = true;
      resolve(error);
    });
  });
  assert.equal(called, false);
  assert.equal(await done, undefined);
});

test("watch: reading the state and then watching it in one tick loses no change", async (t) => {
  const channel = await channelFor(t);
  for (let round = 0; round < 20; round++) {
    const state = channel.getConnectivityState(true);
    if (state === State.READY) return;
    assert.notEqual(await changed(channel, state), state);
  }
  assert.fail("not READY after 20 changes");
});

test("watch: at its deadline it calls back with an error", async (t) => {
  const channel = await channelFor(t);
  await assert.rejects(changed(channel, State.IDLE, Date.now() + 30), /Deadline passed/);
  await assert.rejects(changed(channel, State.IDLE, new Date(0)), /Deadline passed/);
});

test("watch: a close is a change; after it watching throws", async (t) => {
  const channel = await channelFor(t);
  const watching = changed(channel, State.IDLE);
  channel.close();
  assert.equal(await watching, State.SHUTDOWN);
  assert.throws(() => channel.watchConnectivityState(State.SHUTDOWN, Infinity, () => {}), /has been shut down/);
});

test("a failed connection shows in state, metrics and events, with its cause", async (t) => {
  const address = await refusedAddress();
  const channel = new Channel(address);
  t.after(() => channel.close());
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0)), { code: Code.UNAVAILABLE });
  assert.equal(channel.state, State.TRANSIENT_FAILURE);
  const metrics = channel.metrics();
  assert.equal(metrics.connectFailures, 1);
  assert.ok(metrics.lastError.includes("refused"));
  const events = channel.events();
  assert.deepEqual(events.map(({ from, to }) => [from, to]), [["IDLE", "CONNECTING"], ["CONNECTING", "TRANSIENT_FAILURE"]]);
  assert.equal(events[1].address, address);
  assert.deepEqual(channel.events(events[0].sequence).map(({ sequence }) => sequence), [events[1].sequence]);
});

test("a server that comes back is found again", async (t) => {
  const { port, stop } = await serverFor(t);
  const channel = new Channel(`127.0.0.1:${port}`, { "grpc.initial_reconnect_backoff_ms": 100 });
  t.after(() => channel.close());
  await channel.unary(UNARY, Buffer.alloc(0));
  stop();
  await changed(channel, State.READY);
  await serverFor(t, {}, { address: `127.0.0.1:${port}` });
  await channel.ready({ timeoutMs: 20_000 });
  assert.equal((await channel.unary(UNARY, Buffer.from("again"))).message.toString(), "again");
});

test("metrics are plain numbers that count what happened, after close too", async (t) => {
  const channel = await channelFor(t);
  for (let i = 0; i < 3; i++) await channel.unary(UNARY, Buffer.alloc(10));
  await assert.rejects(channel.unary("/test.Echo/Nothing", Buffer.alloc(0)), { code: Code.UNIMPLEMENTED });
  const metrics = channel.metrics();
  assert.deepEqual(JSON.parse(JSON.stringify(metrics)), metrics);
  assert.equal(metrics.target, channel.getTarget().replace(/^dns:/, ""));
  assert.equal(metrics.state, "READY");
  assert.equal(metrics.calls.started, 4);
  assert.equal(metrics.calls.inFlight, 0);
  assert.deepEqual(metrics.calls.byCode, { OK: 3, UNIMPLEMENTED: 1 });
  assert.equal(metrics.messagesSent, 4);
  assert.equal(metrics.messagesReceived, 3);
  assert.ok(metrics.delivery.events >= metrics.delivery.wakeups);
  const [connection] = metrics.connections;
  assert.equal(connection.state, "ready");
  assert.equal(connection.streams.total, 4);
  assert.ok(connection.bytesSent > 0 && connection.bytesReceived > 0);
  channel.close();
  assert.equal(channel.metrics().calls.started, 4);
});

test("a snapshot has the addresses with their connections, and after close what everybody may know", async (t) => {
  const channel = await channelFor(t);
  await channel.unary(UNARY, Buffer.alloc(10));
  const snapshot = channel.snapshot();
  assert.equal(snapshot.isPartial, false);
  assert.equal(snapshot.data.state.state, "READY");
  assert.deepEqual(snapshot.data.callsByCode, { OK: 1 });
  const [address] = snapshot.subchannels.filter(({ connections }) => connections.length > 0);
  const [connection] = address.connections;
  assert.equal(connection.remote, address.data.address);
  assert.equal(connection.streamsSucceeded, 1);
  assert.equal(connection.id, snapshot.connections[0].id);
  channel.close();
  assert.equal(channel.snapshot().isPartial, true);
  assert.equal(channel.snapshot().data.state.state, "SHUTDOWN");
});

test("metrics tell the calls that wait, and the limits that are set", async (t) => {
  const [arrived, release] = [deferred(), deferred()];
  const Unary = (call, callback) => {
    arrived.resolve();
    release.promise.then(() => callback(null, call.request));
  };
  const channel = await channelFor(t, { Unary }, { "linkspan.max_concurrent_requests": 1, "linkspan.max_queued_calls": 5 });
  const calls = [1, 2, 3].map(() => channel.unary(UNARY, Buffer.alloc(0)));
  await arrived.promise;
  const metrics = await seen(channel, ({ calls: { queued } }) => queued === 2);
  assert.equal(metrics.calls.inFlight, 3);
  assert.equal(metrics.maxConcurrentRequests, 1);
  assert.equal(metrics.maxQueuedCalls, 5);
  assert.equal(metrics.subchannels, 1);
  assert.ok(!("maxConcurrentRequestsPerAddress" in metrics));
  release.resolve();
  await Promise.all(calls);
});

test("metrics tell open circuit breakers", async (t) => {
  const Unary = (call, callback) => callback({ code: Code.UNAVAILABLE, details: "no" });
  const channel = await channelFor(t, { Unary }, { "linkspan.breaker": '{"consecutiveFailures": 1, "openTime": "600s"}' });
  assert.deepEqual([channel.metrics().breakersOpen, channel.metrics().breakerTrips], [0, 0]);
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0)), { code: Code.UNAVAILABLE });
  const metrics = await seen(channel, ({ breakersOpen }) => breakersOpen === 1);
  assert.equal(metrics.breakerTrips, 1);
});

test("close is idempotent; calls on the wire go on, new ones are refused", async (t) => {
  const channel = await channelFor(t);
  const call = channel.open(BIDI);
  await call.write(Buffer.from("before"));
  const messages = call[Symbol.asyncIterator]();
  assert.equal((await messages.next()).value.toString(), "before");
  channel.close();
  channel.close();
  assert.equal(channel.state, State.SHUTDOWN);
  await call.write(Buffer.from("after"));
  assert.equal((await messages.next()).value.toString(), "after");
  call.end();
  assert.equal((await messages.next()).done, true);

  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0)), { name: "RpcError", code: Code.UNAVAILABLE });
  await assert.rejects(channel.clientStreaming("/test.Echo/ClientStream", []), { code: Code.UNAVAILABLE });
  const stream = channel.serverStreaming("/test.Echo/ServerStream", Buffer.alloc(0));
  await assert.rejects(stream[Symbol.asyncIterator]().next(), { code: Code.UNAVAILABLE });
  assert.throws(() => channel.createCall(UNARY, Infinity), { message: "Channel has been shut down" });
  assert.equal(channel.getConnectivityState(true), State.SHUTDOWN);
});

test("close ends calls that still wait for a connection UNAVAILABLE", async (t) => {
  const channel = new Channel(await silentServer(t));
  const waiting = channel.unary(UNARY, Buffer.alloc(0));
  channel.close();
  await assert.rejects(waiting, { code: Code.UNAVAILABLE });
});

test("close closes the sockets of idle connections", async (t) => {
  const { port } = await serverFor(t);
  const gone = deferred();
  // A forwarder, so that the test sees the sockets of the channel.
  const forwarder = net.createServer((socket) => {
    const upstream = net.connect(port, "127.0.0.1");
    socket.pipe(upstream).pipe(socket);
    socket.on("close", () => {
      upstream.destroy();
      gone.resolve();
    });
    socket.on("error", () => {});
    upstream.on("error", () => {});
  });
  await new Promise((resolve) => forwarder.listen(0, "127.0.0.1", resolve));
  t.after(() => forwarder.close());
  const channel = new Channel(`127.0.0.1:${forwarder.address().port}`);
  await channel.unary(UNARY, Buffer.alloc(0));
  channel.close();
  await gone.promise;
});

test("targets say what they were understood as", () => {
  const targetOf = (target) => new Channel(target).getTarget();
  assert.equal(targetOf("localhost:50051"), "dns:localhost:50051");
  assert.equal(targetOf("dns:localhost:50051"), "dns:localhost:50051");
  assert.equal(targetOf("ipv4:127.0.0.1:50051"), "ipv4:127.0.0.1:50051");
  assert.equal(targetOf("unix:/tmp/some.sock"), "unix:/tmp/some.sock");
});

test("getChannelzRef names the channel", async (t) => {
  const channel = await channelFor(t);
  const { kind, id, name } = channel.getChannelzRef();
  assert.equal(kind, "channel");
  assert.equal(typeof id, "number");
  assert.equal(name, channel.getTarget());
});
