"use strict";

/** Clients of @grpc/grpc-js over a linkspan channel. */

const assert = require("node:assert/strict");
const { AsyncLocalStorage } = require("node:async_hooks");
const test = require("node:test");
const { Channel } = require("../index.cjs");
const { asGrpcChannel, channelFactory } = require("../grpc-js.cjs");
const { EchoClient, channelFor, deferred, grpc, refusedAddress, serverFor, silentServer, standstill } = require("../testing/server.cjs");

const { status } = grpc;

async function clientFor(t, handlers, options) {
  const channel = asGrpcChannel(await channelFor(t, handlers, options));
  return new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel });
}

function unary(client, request, ...rest) {
  return new Promise((resolve, reject) => {
    client.Unary(request, ...rest, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

async function collect(call) {
  const messages = [];
  for await (const message of call) messages.push(message);
  return messages;
}

test("client: all four kinds of call", async (t) => {
  const client = await clientFor(t);
  assert.equal((await unary(client, Buffer.from("one"))).toString(), "one");
  assert.equal(Buffer.concat(await collect(client.ServerStream(Buffer.from("abc")))).toString(), "abc");

  const total = await new Promise((resolve, reject) => {
    const call = client.ClientStream((error, response) => (error ? reject(error) : resolve(response)));
    for (let i = 0; i < 300; i++) call.write(Buffer.alloc(1000));
    call.end();
  });
  assert.equal(total.length, 300_000);

  const bidi = client.Bidi();
  for (const text of ["x", "y", "z"]) bidi.write(Buffer.from(text));
  bidi.end();
  assert.equal(Buffer.concat(await collect(bidi)).toString(), "xyz");
});

test("client: metadata, trailers and errors are of the caller's own class", async (t) => {
  const client = await clientFor(t, {
    Unary(call, callback) {
      const header = new grpc.Metadata();
      header.add("x-got", call.metadata.get("x-sent").join("|"));
      header.add("x-bytes-bin", call.metadata.get("x-bytes-bin")[0]);
      call.sendMetadata(header);
      const trailer = new grpc.Metadata();
      trailer.add("x-end", "1");
      trailer.add("x-end", "2");
      callback({ code: status.FAILED_PRECONDITION, details: "not now", metadata: trailer });
    },
  });
  const metadata = new grpc.Metadata();
  metadata.add("x-sent", "a");
  metadata.add("x-bytes-bin", Buffer.from([0, 255]));
  const seen = {};
  const error = await new Promise((resolve) => {
    const call = client.Unary(Buffer.alloc(0), metadata, resolve);
    call.on("metadata", (header) => (seen.header = header));
    call.on("status", (end) => (seen.status = end));
  });
  assert.ok(seen.header instanceof grpc.Metadata);
  assert.deepEqual(seen.header.get("x-got"), ["a"]);
  assert.deepEqual(seen.header.get("x-bytes-bin"), [Buffer.from([0, 255])]);
  assert.equal(error.code, status.FAILED_PRECONDITION);
  assert.equal(error.details, "not now");
  assert.ok(error.metadata instanceof grpc.Metadata);
  // Repeated values are one, as grpc-js's own transport has them.
  assert.deepEqual(error.metadata.get("x-end"), ["1, 2"]);
  assert.equal(seen.status.code, status.FAILED_PRECONDITION);
});

test("client: a deadline, as a number and as a Date", async (t) => {
  const channel = new Channel(await silentServer(t));
  t.after(() => channel.close());
  const client = new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel });
  for (const deadline of [Date.now() + 30, new Date(Date.now() + 30), 0, new Date(NaN)]) {
    await assert.rejects(unary(client, Buffer.alloc(0), { deadline }), { code: status.DEADLINE_EXCEEDED });
  }
});

test("client: a deadline far away is none", async (t) => {
  const client = await clientFor(t);
  const year = 365 * 24 * 3600 * 1000;
  assert.equal((await unary(client, Buffer.from("x"), { deadline: Date.now() + year })).toString(), "x");
});

test("client: cancel ends the call CANCELLED, and the server hears of it", async (t) => {
  const arrived = deferred();
  const cancelled = deferred();
  const client = await clientFor(t, {
    Unary(call) {
      call.on("cancelled", cancelled.resolve);
      arrived.resolve();
    },
  });
  const error = await new Promise((resolve) => {
    const call = client.Unary(Buffer.alloc(0), resolve);
    arrived.promise.then(() => call.cancel());
  });
  assert.equal(error.code, status.CANCELLED);
  assert.equal(error.details, "Cancelled on client");
  await cancelled.promise;
});

test("client: a stream that nobody reads blocks the server", async (t) => {
  let sent = 0;
  const client = await clientFor(t, {
    ServerStream(call) {
      const more = () => {
        while (sent < 1000) {
          sent += 1;
          if (!call.write(Buffer.alloc(64 * 1024))) {
            call.once("drain", more);
            return;
          }
        }
        call.end();
      };
      more();
    },
  });
  const call = client.ServerStream(Buffer.alloc(0));
  await new Promise((resolve) => call.once("metadata", resolve));
  await standstill(() => sent);
  assert.ok(sent < 500, `${sent} messages of 64 KiB were sent to nobody`);
  assert.equal((await collect(call)).length, 1000);
});

test("client: a decoder that throws ends the call INTERNAL", async (t) => {
  const { address } = await serverFor(t);
  const channel = new Channel(address);
  t.after(() => channel.close());
  const client = new grpc.Client("", grpc.credentials.createInsecure(), { channelOverride: channel });
  const fail = () => {
    throw new Error("not my type");
  };
  const error = await new Promise((resolve) => {
    client.makeUnaryRequest("/test.Echo/Unary", (bytes) => bytes, fail, Buffer.alloc(1), resolve);
  });
  assert.equal(error.code, status.INTERNAL);
  assert.match(error.details, /Response message parsing error: not my type/);
});

test("client: two answers to a unary call are too many", async (t) => {
  const channel = await channelFor(t);
  const client = new grpc.Client("", grpc.credentials.createInsecure(), { channelOverride: channel });
  const identity = (bytes) => bytes;
  // The server streams two messages on a path that the client takes for unary. The second is never asked for, so
  // the call ends at its deadline, as over grpc-js's own channel.
  const error = await new Promise((resolve) => {
    const options = { deadline: Date.now() + 200 };
    client.makeUnaryRequest("/test.Echo/ServerStream", identity, identity, Buffer.from("ab"), options, resolve);
  });
  assert.equal(error.code, status.DEADLINE_EXCEEDED);
});

test("client: call credentials are asked per call and their metadata is sent", async (t) => {
  const where = [];
  const client = await clientFor(t, {
    Unary: (call, callback) => callback(null, Buffer.from(call.metadata.get("authorization").join("|"))),
  });
  const credentials = grpc.credentials.createFromMetadataGenerator((options, callback) => {
    where.push(options);
    const metadata = new grpc.Metadata();
    metadata.add("authorization", "Bearer t");
    callback(null, metadata);
  });
  assert.equal((await unary(client, Buffer.alloc(0), { credentials })).toString(), "Bearer t");
  assert.deepEqual(where.map(({ method_name, service_url }) => [method_name, service_url]), [
    ["/test.Echo/Unary", "https://127.0.0.1/test.Echo"],
  ]);

  const twice = new grpc.Metadata();
  twice.add("authorization", "Bearer other");
  await assert.rejects(unary(client, Buffer.alloc(0), twice, { credentials }), {
    code: status.INTERNAL,
    details: '"authorization" metadata cannot have multiple values',
  });
});

test("client: credentials that fail end the call with their code", async (t) => {
  const client = await clientFor(t);
  const failing = (code) =>
    grpc.credentials.createFromMetadataGenerator((_, callback) => callback(Object.assign(new Error("no token"), { code })));
  await assert.rejects(unary(client, Buffer.alloc(0), { credentials: failing(status.UNAUTHENTICATED) }), {
    code: status.UNAUTHENTICATED,
    details: "Getting metadata from plugin failed with error: no token",
  });
  await assert.rejects(unary(client, Buffer.alloc(0), { credentials: failing(status.NOT_FOUND) }), { code: status.INTERNAL });
});

test("client: waitForReady of client and of metadata", async (t) => {
  const address = await refusedAddress();
  const options = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 100 };
  const channel = new Channel(address, options);
  t.after(() => channel.close());
  const client = new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel });
  await assert.rejects(
    new Promise((resolve, reject) => client.waitForReady(Date.now() + 50, (error) => (error ? reject(error) : resolve()))),
    /Failed to connect before the deadline/,
  );
  const answer = unary(client, Buffer.from("x"), new grpc.Metadata({ waitForReady: true }), { deadline: Date.now() + 20_000 });
  await serverFor(t, {}, { address });
  assert.equal((await answer).toString(), "x");
  await new Promise((resolve, reject) => client.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve())));
});

test("client: a call inside a server's handler is cancelled with it, and keeps its deadline", async (t) => {
  const innerArrived = deferred();
  const innerCancelled = deferred();
  const innerDeadline = deferred();
  const inner = await clientFor(t, {
    Unary(call) {
      innerDeadline.resolve(call.getDeadline());
      call.on("cancelled", innerCancelled.resolve);
      innerArrived.resolve();
    },
  });
  const innerError = deferred();
  const outer = await clientFor(t, {
    Unary: (call) => void inner.Unary(Buffer.alloc(0), { parent: call }, innerError.resolve),
  });
  const deadline = Date.now() + 30_000;
  const call = outer.Unary(Buffer.alloc(0), { deadline }, () => {});
  await innerArrived.promise;
  assert.ok(Math.abs((await innerDeadline.promise) - deadline) < 5000);
  call.cancel();
  assert.equal((await innerError.promise).details, "Cancelled by parent call");
  await innerCancelled.promise;
});

test("client: the async context of the call is there in every callback and event", async (t) => {
  const client = await clientFor(t);
  const storage = new AsyncLocalStorage();
  const seen = [];
  await storage.run("mine", async () => {
    const call = client.Bidi();
    call.on("metadata", () => seen.push(storage.getStore()));
    call.on("data", () => seen.push(storage.getStore()));
    call.on("status", () => seen.push(storage.getStore()));
    await new Promise((resolve) => call.write(Buffer.from("x"), () => resolve(seen.push(storage.getStore()))));
    const ended = new Promise((resolve) => call.on("end", resolve));
    call.end();
    await ended;
    await new Promise(setImmediate);
  });
  assert.deepEqual(seen, ["mine", "mine", "mine", "mine"]);
});

test("client: interceptors work unchanged", async (t) => {
  const channel = await channelFor(t, {
    Unary: (call, callback) => callback(null, Buffer.from(call.metadata.get("x-added").join("|"))),
  });
  const interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set("x-added", "by interceptor");
        next(metadata, listener);
      },
    });
  const client = new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel, interceptors: [interceptor] });
  assert.equal((await unary(client, Buffer.alloc(0))).toString(), "by interceptor");
});

test("channelFactory makes the channels of clients that have no hook but this", async (t) => {
  const { address } = await serverFor(t);
  const client = new EchoClient(address, grpc.credentials.createInsecure(), { channelFactoryOverride: channelFactory() });
  t.after(() => client.close());
  assert.ok(client.getChannel() instanceof Channel);
  assert.equal((await unary(client, Buffer.from("made"))).toString(), "made");
});

test("channelFactory: errors are told in grpc-js's words", async (t) => {
  const client = new EchoClient(await refusedAddress(), grpc.credentials.createInsecure(), {
    channelFactoryOverride: channelFactory(),
  });
  t.after(() => client.close());
  await assert.rejects(unary(client, Buffer.alloc(0)), (error) => {
    assert.equal(error.code, status.UNAVAILABLE);
    assert.match(error.details, /^No connection established\. Last error: /);
    return true;
  });
});

test("channelFactory: trust that cannot be read back is refused, not guessed", () => {
  const make = (credentials, options) => new EchoClient("localhost:1", credentials, { channelFactoryOverride: channelFactory(options) });
  assert.throws(() => make(grpc.credentials.createSsl()), { name: "TypeError", message: /tlsCredentials/ });
  make(grpc.credentials.createSsl(), { tls: true }).close();
});

test("channelFactory: client options that mean nothing here warn once and do no harm", async (t) => {
  const { address } = await serverFor(t);
  const warned = new Promise((resolve) => process.once("warning", resolve));
  const client = new EchoClient(address, grpc.credentials.createInsecure(), {
    channelFactoryOverride: channelFactory(),
    somethingElse: 1,
    "grpc.max_receive_message_length": "large",
  });
  t.after(() => client.close());
  assert.match((await warned).message, /"somethingElse", "grpc\.max_receive_message_length"/);
  assert.equal((await unary(client, Buffer.from("fine"))).toString(), "fine");
});
