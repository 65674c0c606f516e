/**
 * @connectrpc/connect-node over HTTP/2: node connect-node.mjs [--start] --echo HOST:PORT … (tests/bench/README.md)
 *
 * Connect knows no calls of bytes. The nearest is a message with nothing but bytes in it, google.protobuf.BytesValue,
 * chosen so that it is encoded in the wanted size. What comes back has the right size if its bytes have.
 */

import client from "./client.cjs";

const { STREAM_MESSAGE_BYTES, run, versionIn, wrongCount, wrongLength } = client;

const TAG_BYTES = 1;
/** So many bits of a length are in each byte of a varint. */
const VARINT_BITS = 7;

class ConnectChannel {
  #calls;
  #sessions;
  #messageOf;

  /** `sessions` is the manager of the transport's connection, `messageOf` makes a message of bytes. */
  constructor(calls, sessions, messageOf) {
    this.#calls = calls;
    this.#sessions = sessions;
    this.#messageOf = messageOf;
  }

  async unary(tally, size) {
    const expected = valueBytes(size);
    const request = this.#messageOf(Buffer.alloc(expected));
    do {
      const { value } = await this.#calls.unary(request);
      if (value.length !== expected) throw wrongLength(value.length, expected);
      tally.operations += 1;
    } while (!tally.isOver);
  }

  async serverStream(tally, messages) {
    const request = this.#messageOf(Buffer.from(String(messages)));
    do await receiveAll(this.#calls.serverStream(request), tally, STREAM_MESSAGE_BYTES, messages);
    while (!tally.isOver);
  }

  async pingPong(tally, size) {
    const expected = valueBytes(size);
    const request = this.#messageOf(Buffer.alloc(expected));
    let goOn;
    for await (const { value } of this.#calls.bidi(requests())) {
      if (value.length !== expected) throw wrongLength(value.length, expected);
      tally.operations += 1;
      goOn(!tally.isOver);
    }
    if (!tally.isOver) throw new Error("the stream ended before the time was over");

    async function* requests() {
      let answered;
      do {
        answered = new Promise((resolve) => (goOn = resolve));
        yield request;
      } while (await answered);
    }
  }

  async blast(tally, size, messages) {
    const request = this.#messageOf(Buffer.alloc(valueBytes(size)));
    do await receiveAll(this.#calls.bidi(requests()), tally, size, messages);
    while (!tally.isOver);

    async function* requests() {
      for (let left = messages; left > 0; left--) yield request;
    }
  }

  close() {
    this.#sessions.abort();
  }
}

async function receiveAll(answers, tally, size, messages) {
  const expected = valueBytes(size);
  let received = 0;
  for await (const { value } of answers) {
    if (value.length !== expected) throw wrongLength(value.length, expected);
    received += 1;
    tally.operations += 1;
  }
  if (received !== messages) throw wrongCount(received, messages);
}

/** How many bytes must be in a BytesValue that is encoded in `size` bytes. */
function valueBytes(size) {
  if (size === 0) return 0;
  for (let lengthBytes = 1; TAG_BYTES + lengthBytes < size; lengthBytes++) {
    const value = size - TAG_BYTES - lengthBytes;
    if (varintBytes(value) === lengthBytes) return value;
  }
  throw new Error(`no BytesValue is encoded in ${size} bytes`);
}

function varintBytes(number) {
  return Math.max(1, Math.ceil(number.toString(2).length / VARINT_BITS));
}

/** What a generated file would hold: a service whose methods take and give BytesValue. */
function describeService({ create, createFileRegistry }, { FileDescriptorProtoSchema, file_google_protobuf_wrappers: wrappers }) {
  const bytesValue = ".google.protobuf.BytesValue";
  const method = (name, clientStreaming, serverStreaming) => {
    return { name, inputType: bytesValue, outputType: bytesValue, clientStreaming, serverStreaming };
  };
  const file = create(FileDescriptorProtoSchema, {
    name: "bench.proto",
    package: "bench",
    syntax: "proto3",
    dependency: [wrappers.proto.name],
    service: [
      {
        name: "Echo",
        method: [method("Unary", false, false), method("ServerStream", false, true), method("Bidi", true, true)],
      },
    ],
  });
  return createFileRegistry(file, () => wrappers).getService("bench.Echo");
}

await run({
  client: "connect-node",
  version: versionIn("node_modules/@connectrpc/connect-node"),
  async load() {
    const protobuf = await import("@bufbuild/protobuf");
    const wellKnown = await import("@bufbuild/protobuf/wkt");
    const { createClient } = await import("@connectrpc/connect");
    const { Http2SessionManager, createGrpcTransport } = await import("@connectrpc/connect-node");
    const service = describeService(protobuf, wellKnown);
    const messageOf = (value) => protobuf.create(wellKnown.BytesValueSchema, { value });
    return (target, { ca }) => {
      const baseUrl = `${ca === undefined ? "http" : "https"}://${target}`;
      // The transport's own, as it makes one by itself; that one could not be closed.
      const sessionManager = new Http2SessionManager(baseUrl, undefined, { ca });
      return new ConnectChannel(createClient(service, createGrpcTransport({ baseUrl, sessionManager })), sessionManager, messageOf);
    };
  },
  unsupported: { pick: "one address per transport" },
});
