"use strict";

const assert = require("node:assert/strict");
const { AsyncLocalStorage } = require("node:async_hooks");
const { getEventListeners } = require("node:events");
const test = require("node:test");
const { Channel, Code, Metadata, RpcError } = require("../index.cjs");
const { channelFor, deferred, grpc, refusedAddress, serverFor, silentServer } = require("../testing/server.cjs");

const UNARY = "/test.Echo/Unary";

test("unary: messages of every size class come back unchanged", async (t) => {
  const channel = await channelFor(t);
  for (const size of [0, 1, 4096, 4097, 65536, 65537, 1 << 20]) {
    const request = Buffer.alloc(size, size % 251);
    const { message } = await channel.unary(UNARY, request);
    assert.ok(Buffer.isBuffer(message));
    assert.ok(message.equals(request), `${size} bytes`);
  }
});

test("unary: received bytes stay what they are while later calls come and go", async (t) => {
  const channel = await channelFor(t);
  const kept = [];
  for (let i = 0; i < 200; i++) kept.push((await channel.unary(UNARY, Buffer.alloc(100, i))).message);
  kept.forEach((message, i) => assert.ok(message.equals(Buffer.alloc(100, i)), `message ${i}`));
});

test("unary: a small message pins no more memory than a slab of 64 KiB", async (t) => {
  const channel = await channelFor(t);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => channel.unary(UNARY, Buffer.alloc(i % 2 ? 200 : 300_000, i))),
  );
  for (const { message } of answers.filter((_, i) => i % 2)) assert.ok(message.buffer.byteLength <= 65536);
});

test("unary: what servers say again and again is never taken for what they say now", async (t) => {
  const answer = (call) => {
    const said = call.request.toString();
    const [header, trailer] = [new grpc.Metadata(), new grpc.Metadata()];
    header.set("x-said", said);
    trailer.set("x-said", said);
    call.sendMetadata(header);
    return { said, trailer };
  };
  const channel = await channelFor(t, {
    Unary(call, callback) {
      const { said, trailer } = answer(call);
      if (said.startsWith("no")) callback({ code: Code.ABORTED, details: said, metadata: trailer });
      else callback(null, call.request, trailer);
    },
    ServerStream(call) {
      call.end(answer(call).trailer);
    },
  });
  const heardInCall = async (said) => {
    const { header, trailer } = await channel.unary(UNARY, Buffer.from(said)).catch((error) => {
      return { header: new Metadata({ "x-said": error.details }), trailer: error.metadata };
    });
    return [header.get("x-said"), trailer.get("x-said")];
  };
  const heardInStream = async (said) => {
    const stream = channel.serverStreaming("/test.Echo/ServerStream", Buffer.from(said));
    const [header, trailer] = await Promise.all([stream.header, stream.trailer]);
    return [header.get("x-said"), trailer.get("x-said")];
  };
  const words = ["a", "a", "b", "a", "no", "no", "a", "b", "b", "not", "no", "b"];
  for (const said of words) {
    assert.deepEqual(await heardInCall(said), [said, said]);
    assert.deepEqual(await heardInStream(said), [said, said]);
  }
  const together = await Promise.all(words.flatMap((said) => [heardInCall(said), heardInStream(said)]));
  assert.deepEqual(together, words.flatMap((said) => [[said, said], [said, said]]));
});

test("unary: calls of one method under several authorities keep theirs", async (t) => {
  const channel = await channelFor(t, { Unary: (call, callback) => callback(null, Buffer.from(call.getHost())) });
  for (const authority of ["one.example", "two.example", undefined, "one.example", undefined]) {
    const { message } = await channel.unary(UNARY, Buffer.alloc(0), { authority });
    assert.equal(message.toString(), authority ?? channel.getTarget().replace(/^[a-z]+:/, ""));
  }
});

test("unary: metadata goes both ways, binary and repeated values included", async (t) => {
  const channel = await channelFor(t, {
    Unary(call, callback) {
      const header = new grpc.Metadata();
      for (const value of call.metadata.get("x-data-bin")) header.add("x-data-bin", value);
      header.add("x-words", call.metadata.get("x-words").join("|"));
      call.sendMetadata(header);
      const trailer = new grpc.Metadata();
      trailer.add("x-end", "done");
      callback(null, Buffer.alloc(0), trailer);
    },
  });
  const metadata = new Metadata({ "X-Words": ["one", "two"], "x-data-bin": Buffer.from([0, 255, 44]) });
  const { header, trailer, peer } = await channel.unary(UNARY, Buffer.alloc(0), { metadata });
  assert.deepEqual(header.getAll("x-data-bin"), [Buffer.from([0, 255, 44])]);
  // grpc-js's server joins what was repeated.
  assert.equal(header.get("x-words"), "one, two");
  assert.equal(trailer.get("x-end"), "done");
  assert.equal(peer, channel.getTarget().replace(/^dns:/, ""));
});

test("unary: a method object encodes and decodes, and its answer has its type", async (t) => {
  const channel = await channelFor(t);
  const json = { path: UNARY, encode: (value) => Buffer.from(JSON.stringify(value)), decode: (bytes) => JSON.parse(bytes) };
  const { message } = await channel.unary(json, { a: [1, 2] });
  assert.deepEqual(message, { a: [1, 2] });
});

test("unary: a status of the server is an RpcError with details, metadata and peer", async (t) => {
  const channel = await channelFor(t, {
    Unary(call, callback) {
      const metadata = new grpc.Metadata();
      metadata.add("x-reason", "none left");
      callback({ code: grpc.status.NOT_FOUND, details: "no such thing: ☺", metadata });
    },
  });
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0)), (error) => {
    assert.ok(error instanceof RpcError);
    assert.equal(error.name, "RpcError");
    assert.equal(error.code, Code.NOT_FOUND);
    assert.equal(error.details, "no such thing: ☺");
    assert.equal(error.message, "5 NOT_FOUND: no such thing: ☺");
    assert.equal(error.metadata.get("x-reason"), "none left");
    assert.match(error.peer, /^127\.0\.0\.1:\d+$/);
    return true;
  });
});

test("unary: a refused connection says the address and the cause", async (t) => {
  const address = await refusedAddress();
  const channel = new Channel(address);
  t.after(() => channel.close());
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0)), (error) => {
    assert.equal(error.code, Code.UNAVAILABLE);
    assert.ok(error.details.includes(address) && error.details.includes("refused"), error.details);
    return true;
  });
});

test("unary: a deadline ends the call, on a server that never answers too", async (t) => {
  const channel = new Channel(await silentServer(t));
  t.after(() => channel.close());
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0), { timeoutMs: 50 }), { code: Code.DEADLINE_EXCEEDED });
  const deadline = new Date(Date.now() + 50);
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0), { deadline }), { code: Code.DEADLINE_EXCEEDED });
});

test("unary: a deadline that has passed sends nothing", async (t) => {
  let received = 0;
  const channel = await channelFor(t, { Unary: (call, callback) => callback(null, call.request, void received++) });
  for (const options of [{ timeoutMs: 0 }, { deadline: Date.now() - 1 }, { deadline: new Date(0) }]) {
    await assert.rejects(channel.unary(UNARY, Buffer.alloc(0), options), { code: Code.DEADLINE_EXCEEDED });
  }
  await channel.unary(UNARY, Buffer.alloc(0));
  assert.equal(received, 1);
});

test("unary: a deadline is kept while the event loop is blocked", async (t) => {
  const channel = new Channel(await silentServer(t));
  t.after(() => channel.close());
  const outcome = assert.rejects(channel.unary(UNARY, Buffer.alloc(0), { timeoutMs: 20 }), { code: Code.DEADLINE_EXCEEDED });
  const guard = performance.now() + 10_000;
  // No turn of the event loop happens in here: the engine ends the call by itself, and its counters know first.
  while (channel.metrics().calls.failed === 0 && performance.now() < guard);
  assert.equal(channel.metrics().calls.byCode.DEADLINE_EXCEEDED, 1);
  await outcome;
});

test("unary: a signal that was aborted before sends nothing", async (t) => {
  const channel = await channelFor(t);
  const signal = AbortSignal.abort(new Error("too late"));
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0), { signal }), (error) => {
    assert.equal(error.code, Code.CANCELLED);
    assert.equal(error.cause, signal.reason);
    return true;
  });
  assert.equal(channel.metrics().calls.started, 0);
});

test("unary: aborting resets the call on the wire and tells the reason", async (t) => {
  const arrived = deferred();
  const cancelled = deferred();
  const channel = await channelFor(t, {
    Unary(call) {
      call.on("cancelled", cancelled.resolve);
      arrived.resolve();
    },
  });
  const abort = new AbortController();
  const outcome = channel.unary(UNARY, Buffer.alloc(0), { signal: abort.signal });
  await arrived.promise;
  abort.abort("changed my mind");
  await assert.rejects(outcome, { code: Code.CANCELLED, cause: "changed my mind" });
  await cancelled.promise;
});

test("unary: after its end a call leaves no listener on the signal, and aborting does nothing", async (t) => {
  const channel = await channelFor(t);
  const abort = new AbortController();
  const { message } = await channel.unary(UNARY, Buffer.from("x"), { signal: abort.signal });
  assert.equal(getEventListeners(abort.signal, "abort").length, 0);
  abort.abort();
  assert.equal(message.toString(), "x");
});

test("unary: an encoder's error is the rejection; a decoder's makes the call INTERNAL", async (t) => {
  const channel = await channelFor(t);
  const broken = new Error("cannot");
  const fail = () => {
    throw broken;
  };
  const identity = (bytes) => bytes;
  await assert.rejects(channel.unary({ path: UNARY, encode: fail, decode: identity }, 1), broken);
  await assert.rejects(channel.unary({ path: UNARY, encode: identity, decode: fail }, Buffer.alloc(0)), {
    name: "RpcError",
    code: Code.INTERNAL,
    cause: broken,
  });
});

test("unary: waitForReady waits through refused connections", async (t) => {
  const address = await refusedAddress();
  const channel = new Channel(address, { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 100 });
  t.after(() => channel.close());
  const answer = channel.unary(UNARY, Buffer.from("late"), { waitForReady: true, timeoutMs: 20_000 });
  while (channel.metrics().connectFailures === 0) await new Promise(setImmediate);
  await serverFor(t, {}, { address });
  assert.equal((await answer).message.toString(), "late");
});

test("unary: the async context of the call is there in the decoder and after the await", async (t) => {
  const channel = await channelFor(t);
  const storage = new AsyncLocalStorage();
  await Promise.all(
    ["one", "two", "three"].map((name) =>
      storage.run(name, async () => {
        const decode = () => storage.getStore();
        const { message } = await channel.unary({ path: UNARY, encode: (bytes) => bytes, decode }, Buffer.alloc(0));
        assert.equal(message, name);
        assert.equal(storage.getStore(), name);
      }),
    ),
  );
});

test("unary: call credentials of channel and call are both sent", async (t) => {
  const seen = [];
  const channelCredentials = ({ service_url, method_name }) => ({ "x-where": `${service_url} ${method_name}` });
  const channel = await channelFor(
    t,
    {
      Unary(call, callback) {
        seen.push(call.metadata.get("x-where"), call.metadata.get("x-token"));
        callback(null, call.request);
      },
    },
    { callCredentials: channelCredentials },
  );
  const callCredentials = { generateMetadata: async () => new Metadata({ "x-token": "secret" }) };
  await channel.unary(UNARY, Buffer.alloc(0), { callCredentials });
  assert.deepEqual(seen, [["https://127.0.0.1/test.Echo /test.Echo/Unary"], ["secret"]]);
});

test("unary: credentials that fail end the call with their code", async (t) => {
  const channel = await channelFor(t);
  const failing = (code) => async () => {
    throw Object.assign(new Error("no token"), { code });
  };
  const details = "Getting metadata from plugin failed with error: no token";
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0), { callCredentials: failing(Code.UNAUTHENTICATED) }), {
    code: Code.UNAUTHENTICATED,
    details,
  });
  // Codes that only a server may use do not pass.
  await assert.rejects(channel.unary(UNARY, Buffer.alloc(0), { callCredentials: failing(Code.NOT_FOUND) }), {
    code: Code.INTERNAL,
    details: `Invalid status from control plane: 5 NOT_FOUND ${details}`,
  });
});
