"use strict";

/** The nine methods of a call, driven by hand as a client of grpc-js drives them. */

const assert = require("node:assert/strict");
const { AsyncLocalStorage } = require("node:async_hooks");
const http2 = require("node:http2");
const test = require("node:test");
const { Channel } = require("../index.cjs");
const { channelFor, deferred, grpc, silentServer } = require("../testing/server.cjs");

const { status } = grpc;
const NAMES = [
  "start", "sendMessageWithContext", "startRead", "halfClose", "cancelWithStatus",
  "getPeer", "getCallNumber", "setCredentials", "getAuthContext",
];

/** Notes what it is told; `ended` resolves with the status. */
function listener(onMessage = () => {}) {
  const ended = deferred();
  const told = [];
  return {
    told,
    ended: ended.promise,
    onReceiveMetadata: (metadata) => void told.push(["metadata", metadata]),
    onReceiveMessage(message) {
      told.push(["message", message.toString()]);
      onMessage(message);
    },
    onReceiveStatus(end) {
      told.push(["status", end]);
      ended.resolve(end);
    },
    kinds: () => told.map(([kind]) => kind),
  };
}

function started(channel, path, onMessage) {
  const call = channel.createCall(path, Infinity, null, null, undefined);
  const heard = listener(onMessage);
  call.start(new grpc.Metadata(), heard);
  return { call, heard };
}

/** A few turns of everything: what was going to happen because of what is there has happened. */
async function turns() {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

test("call: has the nine methods, the channel its six", async (t) => {
  const channel = await channelFor(t);
  const call = channel.createCall("/test.Echo/Unary", Infinity);
  for (const name of NAMES) assert.equal(typeof call[name], "function", name);
  for (const name of ["close", "getTarget", "getConnectivityState", "watchConnectivityState", "getChannelzRef", "createCall"]) {
    assert.equal(typeof channel[name], "function", name);
  }
  const other = channel.createCall("/test.Echo/Unary", Infinity);
  assert.notEqual(call.getCallNumber(), other.getCallNumber());
});

test("createCall: arguments are checked in grpc-js's words", async (t) => {
  const channel = await channelFor(t);
  assert.throws(() => channel.createCall(5, Infinity), { name: "TypeError", message: "Channel#createCall: method must be a string" });
  assert.throws(() => channel.createCall("/a/b", "soon"), {
    name: "TypeError",
    message: "Channel#createCall: deadline must be a number or Date",
  });
});

test("call: metadata, messages, status, each in its turn and nothing after", async (t) => {
  const channel = await channelFor(t);
  const { call, heard } = started(channel, "/test.Echo/ServerStream", () => call.startRead());
  call.startRead();
  call.sendMessageWithContext({}, Buffer.from("abc"));
  call.halfClose();
  const end = await heard.ended;
  await turns();
  assert.deepEqual(heard.kinds(), ["metadata", "message", "message", "message", "status"]);
  assert.equal(end.code, status.OK);
  assert.ok(end.metadata instanceof grpc.Metadata);
  // What is asked of an ended call has no effect.
  call.cancelWithStatus(status.ABORTED, "late");
  call.startRead();
  call.halfClose();
  await turns();
  assert.equal(heard.told.length, 5);
});

test("call: nothing is called back from inside a method", async (t) => {
  const channel = await channelFor(t);
  let isInside = false;
  const outside = (what) => assert.equal(isInside, false, what);
  const call = channel.createCall("/test.Echo/Bidi", Infinity);
  const ended = deferred();
  let messages = 0;
  const inside = (act) => {
    const before = isInside;
    isInside = true;
    act();
    isInside = before;
  };
  inside(() =>
    call.start(new grpc.Metadata(), {
      onReceiveMetadata: () => outside("metadata"),
      onReceiveMessage() {
        outside("message");
        messages += 1;
        inside(() => call.startRead());
        if (messages === 3) inside(() => call.halfClose());
      },
      onReceiveStatus(end) {
        outside("status");
        ended.resolve(end);
      },
    }),
  );
  inside(() => call.startRead());
  for (let i = 0; i < 3; i++) inside(() => call.sendMessageWithContext({ callback: () => outside("write") }, Buffer.from("x")));
  assert.equal((await ended.promise).code, status.OK);
  assert.equal(messages, 3);
});

test("call: each startRead allows one message, and an OK waits until all were taken", async (t) => {
  const channel = await channelFor(t);
  const { call, heard } = started(channel, "/test.Echo/ServerStream");
  call.sendMessageWithContext({}, Buffer.from("ab"));
  call.halfClose();
  while (!heard.kinds().includes("metadata")) await turns();
  assert.deepEqual(heard.kinds(), ["metadata"]);
  for (const letter of ["a", "b"]) {
    const before = heard.told.length;
    call.startRead();
    assert.equal(heard.told.length, before);
    while (heard.told.length === before) await turns();
    assert.deepEqual(heard.told[before], ["message", letter]);
  }
  assert.equal((await heard.ended).code, status.OK);
});

test("call: one startRead is enough for the status of a unary call", async (t) => {
  const channel = await channelFor(t);
  const { call, heard } = started(channel, "/test.Echo/Unary");
  call.startRead();
  call.sendMessageWithContext({}, Buffer.from("x"));
  call.halfClose();
  assert.equal((await heard.ended).code, status.OK);
  assert.deepEqual(heard.kinds(), ["metadata", "message", "status"]);
});

test("call: a trailers-only answer and a local failure have no metadata event", async (t) => {
  const channel = await channelFor(t);
  const answered = started(channel, "/test.Echo/NoSuchMethod");
  answered.call.startRead();
  answered.call.halfClose();
  assert.equal((await answered.heard.ended).code, status.UNIMPLEMENTED);
  assert.deepEqual(answered.heard.kinds(), ["status"]);

  const late = channel.createCall("/test.Echo/Unary", 0);
  const heard = listener();
  late.start(new grpc.Metadata(), heard);
  assert.equal((await heard.ended).code, status.DEADLINE_EXCEEDED);
  assert.deepEqual(heard.kinds(), ["status"]);
});

test("call: what is asked for before start is kept", async (t) => {
  const channel = await channelFor(t);
  const call = channel.createCall("/test.Echo/Unary", Infinity);
  const written = deferred();
  const message = Buffer.from("early");
  call.startRead();
  call.sendMessageWithContext({ callback: written.resolve }, message);
  call.halfClose();
  // The bytes were copied: what their owner does with them afterwards is nobody's business.
  message.fill(0);
  const heard = listener();
  call.start(new grpc.Metadata(), heard);
  assert.equal((await heard.ended).code, status.OK);
  assert.deepEqual(heard.told[1], ["message", "early"]);
  assert.equal(await written.promise, undefined);
});

test("call: a cancel before start is reported after it, and nothing is sent", async (t) => {
  const channel = await channelFor(t);
  const call = channel.createCall("/test.Echo/Unary", Infinity);
  call.cancelWithStatus(status.ABORTED, "never mind");
  const heard = listener();
  call.start(new grpc.Metadata(), heard);
  assert.deepEqual(heard.told, []);
  const { code, details, metadata } = await heard.ended;
  assert.deepEqual([code, details], [status.ABORTED, "never mind"]);
  assert.ok(metadata instanceof grpc.Metadata);
  assert.equal(channel.metrics().calls.started, 0);
});

test("call: cancelWithStatus is reported as given, with a code of any number", async (t) => {
  const channel = new Channel(await silentServer(t));
  t.after(() => channel.close());
  for (const code of [status.ABORTED, 99]) {
    const { call, heard } = started(channel, "/test.Echo/Unary");
    await turns();
    call.cancelWithStatus(code, "as given: ☺");
    call.cancelWithStatus(status.INTERNAL, "too late");
    const end = await heard.ended;
    assert.deepEqual([end.code, end.details], [code, "as given: ☺"]);
  }
});

test("call: cancelWithStatus wins over an OK that was not yet reported", async (t) => {
  const channel = await channelFor(t);
  const { call, heard } = started(channel, "/test.Echo/ServerStream", () => {
    call.cancelWithStatus(status.UNIMPLEMENTED, "Too many responses received");
  });
  call.startRead();
  call.sendMessageWithContext({}, Buffer.from("ab"));
  call.halfClose();
  const { code, details } = await heard.ended;
  assert.deepEqual([code, details], [status.UNIMPLEMENTED, "Too many responses received"]);
  await turns();
  assert.deepEqual(heard.kinds(), ["metadata", "message", "status"]);
});

test("call: status numbers that gRPC does not know pass through unchanged", async (t) => {
  const server = http2.createServer();
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "77", "grpc-message": "odd" }, { endStream: true });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const channel = new Channel(`127.0.0.1:${server.address().port}`);
  t.after(() => {
    channel.close();
    server.close();
  });
  const { call, heard } = started(channel, "/test.Echo/Unary");
  call.halfClose();
  assert.equal((await heard.ended).code, 77);
  // The native API says UNKNOWN for a number that nobody knows.
  await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(0)), { code: status.UNKNOWN, details: "odd" });
});

test("call: write callbacks come in order, also when the call has ended", async (t) => {
  const channel = await channelFor(t, { Bidi: (call) => void call.sendMetadata(new grpc.Metadata()) });
  const { call, heard } = started(channel, "/test.Echo/Bidi");
  const order = [];
  const all = deferred();
  const count = 500;
  for (let i = 0; i < count; i++) {
    const callback = (...given) => {
      assert.deepEqual(given, []);
      if (order.push(i) === count) all.resolve();
    };
    call.sendMessageWithContext({ callback }, Buffer.alloc(64 * 1024));
  }
  while (!heard.kinds().includes("metadata")) await turns();
  assert.ok(order.length < count, "the server read nothing, and yet everything was taken");
  call.cancelWithStatus(status.CANCELLED, "enough");
  await all.promise;
  assert.deepEqual(order, Array.from({ length: count }, (_, i) => i));
});

test("call: what is no message ends the call INTERNAL, and so does writing after the end", async (t) => {
  const channel = await channelFor(t);
  const bad = started(channel, "/test.Echo/Unary");
  bad.call.sendMessageWithContext({}, "text");
  const end = await bad.heard.ended;
  assert.equal(end.code, status.INTERNAL);
  assert.match(end.details, /^Request message serialization failure: /);

  const late = started(channel, "/test.Echo/Bidi");
  late.call.halfClose();
  late.call.sendMessageWithContext({}, Buffer.alloc(1));
  const { code, details } = await late.heard.ended;
  assert.deepEqual([code, details], [status.INTERNAL, "Write error: write after end"]);
});

test("call: start twice and setCredentials after start throw", async (t) => {
  const channel = await channelFor(t);
  const { call } = started(channel, "/test.Echo/Unary");
  assert.throws(() => call.start(new grpc.Metadata(), listener()), /start/);
  assert.throws(() => call.setCredentials({}), /before start/);
  call.cancelWithStatus(status.CANCELLED, "done");
});

test("call: metadata must be cloneable, and its class makes what comes back", async (t) => {
  const channel = await channelFor(t);
  const call = channel.createCall("/test.Echo/Unary", Infinity);
  for (const metadata of [undefined, null, {}, new Map()]) assert.throws(() => call.start(metadata, listener()), TypeError);

  class OwnMetadata extends grpc.Metadata {
    clone() {
      const copy = new OwnMetadata();
      copy.merge(this);
      return copy;
    }
  }
  const heard = listener();
  call.start(new OwnMetadata(), heard);
  call.halfClose();
  assert.ok((await heard.ended).metadata instanceof OwnMetadata);
});

test("call: a path that is none and metadata that may not be sent end the call INTERNAL", async (t) => {
  const channel = await channelFor(t);
  const { heard } = started(channel, "no-slash");
  assert.equal((await heard.ended).code, status.INTERNAL);
});

test("call: the host replaces the authority", async (t) => {
  const hosts = [];
  const channel = await channelFor(t, {
    Unary(call, callback) {
      hosts.push(call.getHost());
      callback(null, Buffer.alloc(0));
    },
  });
  const call = channel.createCall("/test.Echo/Unary", Infinity, "other.example", null, undefined);
  const heard = listener();
  call.start(new grpc.Metadata(), heard);
  call.startRead();
  call.sendMessageWithContext({}, Buffer.alloc(0));
  call.halfClose();
  assert.equal((await heard.ended).code, status.OK);
  assert.deepEqual(hosts, ["other.example"]);
});

test("call: the peer is the target before the call has one; the auth context is null, then that of plaintext", async (t) => {
  const channel = await channelFor(t);
  const { call, heard } = started(channel, "/test.Echo/Unary");
  assert.equal(call.getPeer(), channel.getTarget());
  assert.equal(call.getAuthContext(), null);
  call.startRead();
  call.sendMessageWithContext({}, Buffer.alloc(0));
  call.halfClose();
  await heard.ended;
  assert.match(call.getPeer(), /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(call.getAuthContext(), {});
});

test("call: listeners run in the context of createCall, for calls that waited for a connection too", async (t) => {
  const channel = await channelFor(t);
  const storage = new AsyncLocalStorage();
  const call = storage.run("creator", () => channel.createCall("/test.Echo/Unary", Infinity));
  const seen = [];
  const ended = deferred();
  storage.run("starter", () => {
    call.start(new grpc.Metadata(), {
      onReceiveMetadata: () => seen.push(storage.getStore()),
      onReceiveMessage: () => seen.push(storage.getStore()),
      onReceiveStatus: () => ended.resolve(seen.push(storage.getStore())),
    });
    call.startRead();
    call.sendMessageWithContext({ callback: () => seen.push(storage.getStore()) }, Buffer.alloc(0));
    call.halfClose();
  });
  await ended.promise;
  assert.deepEqual(seen, ["creator", "creator", "creator", "creator"]);
});
