"use strict";

/** Compression, per channel, call and message: grpc-js's own server at the other end, and one that tells what it was sent. */

const assert = require("node:assert/strict");
const http2 = require("node:http2");
const test = require("node:test");
const zlib = require("node:zlib");
const { Channel } = require("../index.cjs");
const { asGrpcChannel } = require("../grpc-js.cjs");
const { EchoClient, grpc, serverFor } = require("../testing/server.cjs");

const LARGE = Buffer.alloc(100_000, "x");
const GZIP = { "grpc.default_compression_algorithm": 2 };
const DEFLATE = { "grpc.default_compression_algorithm": 1 };

/** A server that answers with the request's encoding and the flags of its messages, as in `gzip 10`; compressed, if it is asked for. */
async function tellingServer(t, { accepts = "identity,deflate,gzip" } = {}) {
  const server = http2.createServer();
  const sessions = new Set();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => {
      const told = Buffer.from(`${headers["grpc-encoding"] ?? "none"} ${flagsOf(Buffer.concat(parts))}`);
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-encoding": "gzip", "grpc-accept-encoding": accepts },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(framed(1, zlib.gzipSync(told)));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return `127.0.0.1:${server.address().port}`;
}

function framed(flag, message) {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function flagsOf(bytes) {
  let flags = "";
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) flags += bytes[at];
  return flags;
}

function channelTo(t, address, options) {
  const channel = new Channel(address, options);
  t.after(() => channel.close());
  return channel;
}

test("compression: a call is compressed as it says, else as its channel is", async (t) => {
  const address = await tellingServer(t);
  for (const [options, compress, told] of [
    [undefined, undefined, "none 0"],
    [undefined, true, "gzip 1"],
    [GZIP, undefined, "gzip 1"],
    [GZIP, false, "none 0"],
    [DEFLATE, true, "deflate 1"],
    [{ ...GZIP, "grpc.compression_enabled_algorithms_bitset": 1 + 2 + 4 }, true, "gzip 1"],
  ]) {
    const channel = channelTo(t, address, options);
    const { message } = await channel.unary("/test.Echo/Unary", LARGE, { compress });
    assert.equal(message.toString(), told);
    const call = await channel.clientStreaming("/test.Echo/ClientStream", [LARGE, LARGE], { compress });
    assert.equal(call.message.toString(), `${told}${told.at(-1)}`);
  }
});

test("compression: the option of a call must be a boolean", async (t) => {
  const channel = channelTo(t, "127.0.0.1:1");
  await assert.rejects(channel.unary("/test.Echo/Unary", LARGE, { compress: "gzip" }), /compress must be a boolean/);
});

test("compression: a server that cannot read it gets messages as they are", async (t) => {
  const channel = channelTo(t, await tellingServer(t, { accepts: "identity" }), GZIP);
  const told = [];
  for (let i = 0; i < 2; i++) told.push((await channel.unary("/test.Echo/Unary", LARGE)).message.toString());
  assert.deepEqual(told, ["gzip 1", "none 0"]);
});

test("compression: clients of grpc-js leave single messages as they are by the write flag", async (t) => {
  const channel = asGrpcChannel(channelTo(t, await tellingServer(t), GZIP));
  const client = new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel });
  const told = await new Promise((resolve, reject) => {
    const call = client.ClientStream((error, response) => (error ? reject(error) : resolve(response)));
    const noCompress = 2;
    call.write(LARGE, noCompress);
    call.write(LARGE);
    call.write(LARGE, noCompress);
    call.write(LARGE);
    call.end();
  });
  assert.equal(told.toString(), "gzip 0101");
});

test("compression: the first message too, whichever way it crosses", async (t) => {
  const channel = asGrpcChannel(channelTo(t, await tellingServer(t), GZIP));
  for (const message of [LARGE, Buffer.alloc(1_000)]) {
    const flags = await new Promise((resolve, reject) => {
      const call = channel.createCall("/test.Echo/Unary", Infinity, null, null, null);
      call.start(new grpc.Metadata(), {
        onReceiveMetadata() {},
        onReceiveMessage: (told) => resolve(told.toString()),
        onReceiveStatus: ({ code, details }) => code !== 0 && reject(new Error(details)),
      });
      call.startRead();
      call.sendMessageWithContext({ flags: 2 }, message);
      call.halfClose();
    });
    assert.equal(flags, "gzip 0");
  }
});

test("compression: grpc-js's server reads it and answers compressed", async (t) => {
  const { address } = await serverFor(t, {}, { options: GZIP });
  for (const options of [undefined, GZIP, DEFLATE]) {
    const channel = channelTo(t, address, options);
    const { message, header } = await channel.unary("/test.Echo/Unary", LARGE);
    assert.ok(message.equals(LARGE));
    assert.equal(header.get("grpc-encoding"), undefined);
    const received = [];
    for await (const part of channel.bidi("/test.Echo/Bidi", [LARGE, Buffer.alloc(0), LARGE])) received.push(part);
    assert.deepEqual(received.map((part) => part.length), [LARGE.length, 0, LARGE.length]);
  }
});

test("compression: what becomes too large ends the call", async (t) => {
  const { address } = await serverFor(t, {}, { options: GZIP });
  const channel = channelTo(t, address, { "grpc.max_receive_message_length": 50_000 });
  await assert.rejects(channel.unary("/test.Echo/Unary", LARGE), { code: 8 });
});
