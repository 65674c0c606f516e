"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const { Channel, Code, Metadata } = require("../index.cjs");
const { channelFor } = require("../testing/server.cjs");

const UNARY = "/test.Echo/Unary";
const EMPTY = Buffer.alloc(0);

/** Every stream method, called with what its caller got wrong. */
function streamsWith(channel, method, request, options) {
  return [
    () => channel.serverStreaming(method, request, options),
    () => channel.bidi(method, [request], options),
    () => channel.open(method, options),
  ];
}

test("targets that are no target throw from the constructor", () => {
  for (const target of [undefined, null, 5, {}, Buffer.from("localhost:1")]) {
    assert.throws(() => new Channel(target), { name: "TypeError", message: /target/ });
  }
  for (const target of ["", "localhost:0", "localhost:99999", "foo://x", "ipv4:not-an-address:443", "unix:"]) {
    assert.throws(() => new Channel(target), { name: "Error", code: "ERR_LINKSPAN_BAD_TARGET", message: /target/ });
  }
});

test("options that are no option throw a TypeError that names them", () => {
  const refused = (options, words) => assert.throws(() => new Channel("localhost:1", options), { name: "TypeError", message: words });
  refused(null, /options must be an object/);
  refused("grpc", /options must be an object/);
  refused({ keepAlive: true }, /"keepAlive"/);
  refused({ "linkspan.prese": "grpc" }, /"linkspan\.prese".*"linkspan\.preset"/);
  refused({ "grpc.max_receive_message_length": "large" }, /"grpc\.max_receive_message_length"/);
  refused({ "grpc.max_receive_message_length": {} }, /"grpc\.max_receive_message_length"/);
  refused({ "grpc.max_receive_message_length": 1.5 }, /"grpc\.max_receive_message_length"/);
  refused({ "linkspan.preset": "fancy" }, /"linkspan\.preset"/);
  refused({ callCredentials: 5 }, /callCredentials/);
});

test("unknown grpc options are accepted, whatever they hold", () => {
  new Channel("localhost:1", { "grpc.nobody_knows": 1, "grpc-node.something": {}, "grpc.channel_thing": undefined }).close();
});

test("TLS fields are checked, and named without their content", () => {
  const refused = (tls, error) => assert.throws(() => new Channel("localhost:1", { tls }), error);
  refused("yes", { name: "TypeError", message: /tls/ });
  refused({ ca: 5 }, { name: "TypeError", message: /tls\.ca/ });
  refused({ secureContext: {} }, { name: "TypeError", message: /tls\.secureContext/ });
  refused({ servername: 5 }, { name: "TypeError", message: /tls\.servername/ });
  refused({ caFile: 5 }, { name: "TypeError", message: /tls\.caFile/ });
  refused({ minVersion: "1.1" }, { name: "TypeError", message: /tls\.minVersion may be TLSv1\.2 or TLSv1\.3; it is "1\.1"/ });
  refused({ checkServerIdentity: () => undefined }, { name: "TypeError", message: /checkServerIdentity is not supported/ });
  const secret = "MIISECRETSECRET";
  const broken = `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`;
  for (const tls of [{ ca: secret }, { key: broken }, { cert: broken }, { cert: broken, key: broken }]) {
    refused(tls, (error) => {
      assert.match(error.message, /root|certificate|key/);
      assert.ok(!error.message.includes(secret));
      assert.equal(error.code, "ERR_LINKSPAN_CREDENTIALS");
      return true;
    });
  }
});

test("a path without a leading slash is a TypeError", async (t) => {
  const channel = await channelFor(t);
  for (const path of ["", "test.Echo/Unary"]) {
    await assert.rejects(channel.unary(path, EMPTY), { name: "TypeError", message: /method/ });
    await assert.rejects(channel.clientStreaming(path, []), { name: "TypeError", message: /method/ });
    for (const call of streamsWith(channel, path, EMPTY)) assert.throws(call, { name: "TypeError", message: /method/ });
  }
});

test("what is no method is a TypeError", async (t) => {
  const channel = await channelFor(t);
  for (const method of [undefined, null, 5, {}, { path: UNARY }, { path: 5, encode() {}, decode() {} }]) {
    await assert.rejects(channel.unary(method, EMPTY), { name: "TypeError", message: /method/ });
    for (const call of streamsWith(channel, method, EMPTY)) assert.throws(call, { name: "TypeError", message: /method/ });
  }
});

test("a message that is not a Uint8Array is a TypeError, and so is what encode returns", async (t) => {
  const channel = await channelFor(t);
  for (const message of [undefined, null, "text", 5, [1, 2], new ArrayBuffer(2), new Uint16Array(2)]) {
    await assert.rejects(channel.unary(UNARY, message), { name: "TypeError", message: /Uint8Array/ });
    await assert.rejects(channel.clientStreaming("/test.Echo/ClientStream", [message]), { name: "TypeError", message: /Uint8Array/ });
    assert.throws(() => channel.serverStreaming("/test.Echo/ServerStream", message), { name: "TypeError", message: /Uint8Array/ });
    const encodesBadly = { path: UNARY, encode: () => message, decode: (bytes) => bytes };
    await assert.rejects(channel.unary(encodesBadly, EMPTY), { name: "TypeError", message: /encode/ });
  }
  await assert.rejects(channel.open("/test.Echo/Bidi").write("text"), { name: "TypeError", message: /Uint8Array/ });
  assert.equal((await channel.unary(UNARY, new Uint8Array([7]))).message[0], 7);
});

test("a feed that cannot be iterated is a TypeError", async (t) => {
  const channel = await channelFor(t);
  for (const feed of [undefined, null, 5, "text", {}]) {
    await assert.rejects(channel.clientStreaming("/test.Echo/ClientStream", feed), { name: "TypeError", message: /iterable/ });
    assert.throws(() => channel.bidi("/test.Echo/Bidi", feed), { name: "TypeError", message: /iterable/ });
  }
});

test("metadata: keys and values that may not be sent are TypeErrors that name the key, never the value", () => {
  const refused = (key, value, words) =>
    assert.throws(() => new Metadata().set(key, value), (error) => {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, words);
      assert.ok(!error.message.includes("secret"));
      return true;
    });
  refused(5, "v", /key must be a string/);
  refused("", "v", /key/);
  refused("has space", "v", /has space/);
  refused("ünicode", "v", /key/);
  refused(":path", "v", /:path/);
  refused("x", "secret\n", /"x"/);
  refused("x", "secret ☺", /"x"/);
  refused("x", 5, /"x".*string/);
  refused("x", Buffer.from("secret"), /"x".*string/);
  refused("x-bin", "secret", /"x-bin".*Uint8Array/);
});

test("metadata: what is no metadata is a TypeError, as an argument of a call too", async (t) => {
  const channel = await channelFor(t);
  for (const init of ["text", 5, [["only-a-key"]], { x: 5 }, { "x-bin": "text" }, new Map([["bad key", "v"]])]) {
    assert.throws(() => new Metadata(init), TypeError);
    await assert.rejects(channel.unary(UNARY, EMPTY, { metadata: init }), TypeError);
    for (const call of streamsWith(channel, UNARY, EMPTY, { metadata: init })) assert.throws(call, TypeError);
  }
});

test("call options of the wrong type are TypeErrors that name them", async (t) => {
  const channel = await channelFor(t);
  const wrong = [
    [{ timeoutMs: -1 }, /timeoutMs/],
    [{ timeoutMs: NaN }, /timeoutMs/],
    [{ timeoutMs: "5" }, /timeoutMs/],
    [{ timeoutMs: 5, deadline: Date.now() }, /timeoutMs and deadline/],
    [{ deadline: new Date("never") }, /deadline/],
    [{ deadline: "tomorrow" }, /deadline/],
    [{ signal: {} }, /signal/],
    [{ waitForReady: 1 }, /waitForReady/],
    [{ authority: 5 }, /authority/],
    [{ callCredentials: 5 }, /callCredentials/],
    [5, /options/],
    [null, /options/],
  ];
  for (const [options, message] of wrong) {
    await assert.rejects(channel.unary(UNARY, EMPTY, options), { name: "TypeError", message });
    for (const call of streamsWith(channel, UNARY, EMPTY, options)) assert.throws(call, { name: "TypeError", message });
  }
  await assert.rejects(channel.ready({ timeoutMs: -1 }), { name: "TypeError", message: /timeoutMs/ });
});

test("no argument error leaves a call behind", async (t) => {
  const { openCounts } = require("../lib/environment.cjs");
  const channel = await channelFor(t);
  const before = openCounts();
  for (const path of ["no-slash", UNARY]) {
    await assert.rejects(channel.unary(path, "text"), TypeError);
    assert.throws(() => channel.bidi(path, 5), TypeError);
  }
  assert.throws(() => channel.open("no-slash"), TypeError);
  assert.deepEqual(openCounts(), before);
  assert.equal(channel.metrics().calls.inFlight, 0);
});

test("the metadata class keeps order and repeated keys, and reads what it is made of", () => {
  const metadata = new Metadata({ B: "1", a: ["2", "3"], "c-bin": Buffer.from([1]), d: undefined });
  metadata.append("b", "4");
  assert.deepEqual([...metadata.keys()], ["b", "a", "c-bin"]);
  assert.deepEqual([...metadata], [["b", "1"], ["b", "4"], ["a", "2"], ["a", "3"], ["c-bin", Buffer.from([1])]]);
  assert.deepEqual(metadata.toJSON(), { b: ["1", "4"], a: ["2", "3"], "c-bin": ["AQ=="] });
  assert.deepEqual([...new Metadata(metadata)], [...metadata]);
  assert.deepEqual([...new Metadata(new Headers({ "X-One": "1" }))], [["x-one", "1"]]);
  assert.deepEqual([...new Metadata([["k", "v"]])], [["k", "v"]]);
  metadata.delete("B");
  assert.equal(metadata.has("b"), false);
  assert.equal(metadata.get("nothing"), undefined);
});

test("metadata: bytes given are copied", () => {
  const bytes = Buffer.from([1, 2]);
  const metadata = new Metadata({ "x-bin": bytes });
  bytes[0] = 9;
  assert.deepEqual(metadata.get("x-bin"), Buffer.from([1, 2]));
});

test("a code is known by its number and its name", () => {
  assert.equal(Object.keys(Code).length, 17);
  assert.equal(Code.UNAUTHENTICATED, 16);
  assert.ok(Object.isFrozen(Code));
});
