"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const { Code, RpcError } = require("../index.cjs");
const { channelFor, deferred, grpc, standstill } = require("../testing/server.cjs");

const SERVER_STREAM = "/test.Echo/ServerStream";
const CLIENT_STREAM = "/test.Echo/ClientStream";
const BIDI = "/test.Echo/Bidi";

async function collect(stream) {
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

test("server streaming: all messages come in order, then the end", async (t) => {
  const channel = await channelFor(t);
  const bytes = Buffer.from(Array.from({ length: 200 }, (_, i) => i));
  const stream = channel.serverStreaming(SERVER_STREAM, bytes);
  assert.deepEqual(Buffer.concat(await collect(stream)), bytes);
  assert.match(stream.peer, /^127\.0\.0\.1:\d+$/);
});

test("server streaming: header and trailer are promises that tell what the server sent", async (t) => {
  const channel = await channelFor(t, {
    ServerStream(call) {
      const header = new grpc.Metadata();
      header.add("x-first", "1");
      call.sendMetadata(header);
      call.write(Buffer.from("m"));
      const trailer = new grpc.Metadata();
      trailer.add("x-last", "2");
      call.end(trailer);
    },
  });
  const stream = channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0));
  assert.equal((await stream.header).get("x-first"), "1");
  assert.equal((await collect(stream)).length, 1);
  assert.equal((await stream.trailer).get("x-last"), "2");
});

test("server streaming: messages before a failure are yielded first, the error is thrown once", async (t) => {
  const channel = await channelFor(t, {
    ServerStream(call) {
      call.write(Buffer.from("one"));
      call.write(Buffer.from("two"));
      call.emit("error", { code: grpc.status.DATA_LOSS, details: "the rest is lost" });
    },
  });
  const iterator = channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0))[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value.toString(), "one");
  assert.equal((await iterator.next()).value.toString(), "two");
  await assert.rejects(iterator.next(), { name: "RpcError", code: Code.DATA_LOSS, details: "the rest is lost" });
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});

test("server streaming: a failure nobody looks at is no unhandled rejection", async (t) => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  const channel = await channelFor(t);
  const stream = channel.serverStreaming("/test.Echo/NoSuchMethod", Buffer.alloc(0));
  const { header, trailer } = stream;
  while (channel.metrics().calls.failed === 0) await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
  await assert.rejects(header, { code: Code.UNIMPLEMENTED });
  await assert.rejects(trailer, { code: Code.UNIMPLEMENTED });
});

for (const [how, leave] of [
  ["break", async (stream) => {
    for await (const _ of stream) break;
  }],
  ["throw", async (stream) => {
    await assert.rejects(async () => {
      for await (const _ of stream) throw new Error("enough");
    }, /enough/);
  }],
]) {
  test(`server streaming: leaving the loop by ${how} cancels the call`, async (t) => {
    const cancelled = deferred();
    const channel = await channelFor(t, {
      ServerStream(call) {
        call.on("cancelled", cancelled.resolve);
        call.write(Buffer.from("first of many"));
      },
    });
    await leave(channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0)));
    await cancelled.promise;
  });
}

test("server streaming: the messages can be iterated once only", async (t) => {
  const channel = await channelFor(t);
  const stream = channel.serverStreaming(SERVER_STREAM, Buffer.from("ab"));
  assert.equal((await collect(stream)).length, 2);
  assert.throws(() => stream[Symbol.asyncIterator](), /once only/);
});

test("server streaming: cancel ends the iteration with CANCELLED and the reason", async (t) => {
  const channel = await channelFor(t, { ServerStream: (call) => void call.write(Buffer.from("x")) });
  const stream = channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0));
  await assert.rejects(async () => {
    for await (const _ of stream) stream.cancel("seen enough");
  }, { code: Code.CANCELLED, cause: "seen enough" });
});

test("server streaming: an aborted signal ends the iteration with its reason", async (t) => {
  const channel = await channelFor(t, { ServerStream: (call) => void call.write(Buffer.from("x")) });
  const abort = new AbortController();
  const stream = channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0), { signal: abort.signal });
  await assert.rejects(async () => {
    for await (const _ of stream) abort.abort("stop");
  }, { code: Code.CANCELLED, cause: "stop" });
});

test("server streaming: a deadline ends the iteration", async (t) => {
  const channel = await channelFor(t, { ServerStream: (call) => void call.write(Buffer.from("x")) });
  const stream = channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0), { timeoutMs: 100 });
  await assert.rejects(collect(stream), { code: Code.DEADLINE_EXCEEDED });
});

test("server streaming: a reader that stops reading blocks the server", async (t) => {
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const channel = await channelFor(t, {
    ServerStream(call) {
      const more = () => {
        while (sent < 1000) {
          sent += 1;
          if (!call.write(chunk)) {
            call.once("drain", more);
            return;
          }
        }
        call.end();
      };
      more();
    },
  });
  const stream = channel.serverStreaming(SERVER_STREAM, Buffer.alloc(0));
  await stream.header;
  const sentWhileNobodyRead = await standstill(() => sent);
  assert.ok(sentWhileNobodyRead < 500, `${sentWhileNobodyRead} messages of 64 KiB were sent to nobody`);
  assert.equal((await collect(stream)).length, 1000);
});

test("client streaming: a feed of many messages has one answer", async (t) => {
  const channel = await channelFor(t);
  async function* requests() {
    for (let i = 0; i < 100; i++) yield Buffer.alloc(1000, i);
  }
  const { message, header, trailer } = await channel.clientStreaming(CLIENT_STREAM, requests());
  assert.equal(message.length, 100_000);
  assert.equal(message[99_999], 99);
  assert.ok(header && trailer);
});

test("client streaming: an array is a feed too", async (t) => {
  const channel = await channelFor(t);
  const { message } = await channel.clientStreaming(CLIENT_STREAM, [Buffer.from("a"), Buffer.from("b")]);
  assert.equal(message.toString(), "ab");
});

test("client streaming: a feed that throws cancels the call and rejects with that very error", async (t) => {
  const arrived = deferred();
  const cancelled = deferred();
  const channel = await channelFor(t, {
    ClientStream(call) {
      call.on("cancelled", cancelled.resolve);
      arrived.resolve();
    },
  });
  const broken = new Error("the source dried up");
  async function* requests() {
    yield Buffer.from("a");
    await arrived.promise;
    throw broken;
  }
  await assert.rejects(channel.clientStreaming(CLIENT_STREAM, requests()), (error) => error === broken);
  await cancelled.promise;
});

test("client streaming: the feed's return runs when the call ends first", async (t) => {
  const channel = await channelFor(t, {
    ClientStream: (call, callback) => void call.once("data", () => callback({ code: grpc.status.ABORTED, details: "no more" })),
  });
  const returned = deferred();
  async function* requests() {
    try {
      for (;;) yield Buffer.alloc(10);
    } finally {
      returned.resolve();
    }
  }
  await assert.rejects(channel.clientStreaming(CLIENT_STREAM, requests()), { code: Code.ABORTED, details: "no more" });
  await returned.promise;
});

test("client streaming: an encoder's error cancels the call, runs the feed's return and is the rejection", async (t) => {
  const channel = await channelFor(t);
  const broken = new Error("cannot encode");
  const returned = deferred();
  async function* requests() {
    try {
      yield 1;
      yield 2;
    } finally {
      returned.resolve();
    }
  }
  const method = { path: CLIENT_STREAM, encode: () => { throw broken; }, decode: (bytes) => bytes };
  await assert.rejects(channel.clientStreaming(method, requests()), (error) => error === broken);
  await returned.promise;
});

test("bidi: answers come while requests go", async (t) => {
  const channel = await channelFor(t);
  const answers = [];
  async function* requests() {
    for (let i = 0; i < 5; i++) {
      yield Buffer.from([i]);
      while (answers.length <= i) await new Promise(setImmediate);
    }
  }
  for await (const message of channel.bidi(BIDI, requests())) answers.push(message[0]);
  assert.deepEqual(answers, [0, 1, 2, 3, 4]);
});

test("open: writes and reads by hand, ends cleanly", async (t) => {
  const channel = await channelFor(t);
  const call = channel.open(BIDI);
  const messages = call[Symbol.asyncIterator]();
  for (const text of ["one", "two", "three"]) {
    await call.write(Buffer.from(text));
    assert.equal((await messages.next()).value.toString(), text);
  }
  call.end();
  assert.equal((await messages.next()).done, true);
});

test("open: write stays pending while the server does not read, and goes on when it does", async (t) => {
  const reading = deferred();
  const channel = await channelFor(t, {
    Bidi(call) {
      call.sendMetadata(new grpc.Metadata());
      reading.promise.then(() => {
        let received = 0;
        call.on("data", (message) => (received += message.length));
        call.on("end", () => {
          call.write(Buffer.from(String(received)));
          call.end();
        });
      });
    },
  });
  const call = channel.open(BIDI);
  await call.header;
  const chunk = Buffer.alloc(64 * 1024);
  let taken = 0;
  let asked = 0;
  const writes = [];
  // Flow-control windows are far smaller than this: writing must come to a stop in it.
  for (; asked < 1000; asked++) writes.push(call.write(chunk).then(() => taken++));
  await standstill(() => taken);
  assert.ok(taken < 500, `${taken} of ${asked} messages of 64 KiB were taken although nobody read`);
  reading.resolve();
  await Promise.all(writes);
  call.end();
  const [total] = await collect(call);
  assert.equal(Number(total.toString()), asked * chunk.length);
});

test("open: write after end rejects with a TypeError, write after a failure with that failure", async (t) => {
  const channel = await channelFor(t);
  const ended = channel.open(BIDI);
  ended.end();
  await assert.rejects(ended.write(Buffer.alloc(1)), TypeError);
  await collect(ended);

  const failed = channel.open("/test.Echo/NoSuchMethod");
  await assert.rejects(collect(failed), { code: Code.UNIMPLEMENTED });
  await assert.rejects(failed.write(Buffer.alloc(1)), { code: Code.UNIMPLEMENTED });
});

test("open: pending writes reject when the call is cancelled", async (t) => {
  const channel = await channelFor(t, { Bidi: (call) => void call.sendMetadata(new grpc.Metadata()) });
  const call = channel.open(BIDI);
  await call.header;
  const writes = Array.from({ length: 1000 }, () => call.write(Buffer.alloc(64 * 1024)));
  call.cancel("never mind");
  const outcomes = await Promise.allSettled(writes);
  const last = outcomes.at(-1);
  assert.equal(last.status, "rejected");
  assert.ok(last.reason instanceof RpcError && last.reason.code === Code.CANCELLED);
});

test("open: call credentials delay the call, not what is written to it", async (t) => {
  const channel = await channelFor(t);
  const callCredentials = async () => ({ "x-token": "t" });
  const call = channel.open(BIDI, { callCredentials });
  const writes = [call.write(Buffer.from("a")), call.write(Buffer.from("b"))];
  await Promise.all(writes);
  call.end();
  assert.equal(Buffer.concat(await collect(call)).toString(), "ab");
});

test("a decoder that throws ends the stream INTERNAL and cancels the call", async (t) => {
  const cancelled = deferred();
  const channel = await channelFor(t, {
    ServerStream(call) {
      call.on("cancelled", cancelled.resolve);
      call.write(Buffer.from("x"));
    },
  });
  const broken = new Error("not my type");
  const method = { path: SERVER_STREAM, encode: (bytes) => bytes, decode: () => { throw broken; } };
  await assert.rejects(collect(channel.serverStreaming(method, Buffer.alloc(0))), { code: Code.INTERNAL, cause: broken });
  await cancelled.promise;
});
