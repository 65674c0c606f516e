"use strict";

/** gRPC's interop cases, written once for both faces. Sizes and texts are those of the published descriptions. */

const assert = require("node:assert/strict");

const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const REQUESTS = [27182, 8, 1828, 45904];
const RESPONSES = [31415, 9, 2653, 58979];

const INITIAL_KEY = "x-grpc-test-echo-initial";
const INITIAL_VALUE = "test_initial_metadata_value";
const TRAILING_KEY = "x-grpc-test-echo-trailing-bin";
const TRAILING_VALUE = Buffer.from("0a0b0a0b0a0b", "hex");

const SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const UNIMPLEMENTED = 12;

const CASES = {
  async empty_unary(face) {
    const { message } = await face.unary("EmptyCall", {});
    assert.deepEqual({ ...message }, {});
  },

  async large_unary(face) {
    const request = { responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST) };
    const { message } = await face.unary("UnaryCall", request);
    assert.deepEqual(message.payload.body, Buffer.alloc(LARGE_RESPONSE));
  },

  async client_streaming(face) {
    const requests = REQUESTS.map((size) => ({ payload: zeros(size) }));
    const response = await face.clientStreaming("StreamingInputCall", requests);
    assert.equal(response.aggregatedPayloadSize, 74922);
  },

  async server_streaming(face) {
    const responses = await face.serverStreaming("StreamingOutputCall", {
      responseParameters: RESPONSES.map((size) => ({ size })),
    });
    assert.deepEqual(responses.map(bodySize), RESPONSES);
  },

  async ping_pong(face) {
    const call = face.duplex("FullDuplexCall");
    for (let i = 0; i < REQUESTS.length; i++) {
      await call.write({ responseParameters: [{ size: RESPONSES[i] }], payload: zeros(REQUESTS[i]) });
      assert.equal(bodySize(await call.read()), RESPONSES[i]);
    }
    call.end();
    assert.equal(await call.read(), undefined);
  },

  async empty_stream(face) {
    const call = face.duplex("FullDuplexCall");
    call.end();
    assert.equal(await call.read(), undefined);
  },

  async custom_metadata(face) {
    const metadata = { [INITIAL_KEY]: INITIAL_VALUE, [TRAILING_KEY]: TRAILING_VALUE };
    checkEchoed(await face.unary("UnaryCall", { responseSize: 1, payload: zeros(1) }, { metadata }));

    const call = face.duplex("FullDuplexCall", { metadata });
    await call.write({ responseParameters: [{ size: 1 }], payload: zeros(1) });
    assert.equal(bodySize(await call.read()), 1);
    call.end();
    assert.equal(await call.read(), undefined);
    checkEchoed({ header: await call.header(), trailer: await call.trailer() });
  },

  async status_code_and_message(face) {
    const request = { responseStatus: { code: UNKNOWN, message: "test status message" } };
    await rejectsWith(face.unary("UnaryCall", request), UNKNOWN, "test status message");

    const call = face.duplex("FullDuplexCall");
    await call.write(request);
    call.end();
    await rejectsWith(call.read(), UNKNOWN, "test status message");
  },

  async special_status_message(face) {
    const request = { responseStatus: { code: UNKNOWN, message: SPECIAL_MESSAGE } };
    await rejectsWith(face.unary("UnaryCall", request), UNKNOWN, SPECIAL_MESSAGE);
  },

  async unimplemented_method(face) {
    await rejectsWith(face.unary("UnimplementedCall", {}), UNIMPLEMENTED);
  },

  async unimplemented_service(face) {
    await rejectsWith(face.unary("UnimplementedCall", {}, { service: "UnimplementedService" }), UNIMPLEMENTED);
  },

  async cancel_after_begin(face) {
    await rejectsWith(face.cancelledClientStreaming("StreamingInputCall"), CANCELLED);
  },

  async cancel_after_first_response(face) {
    const call = face.duplex("FullDuplexCall");
    await call.write({ responseParameters: [{ size: RESPONSES[0] }], payload: zeros(REQUESTS[0]) });
    assert.equal(bodySize(await call.read()), RESPONSES[0]);
    call.cancel();
    await rejectsWith(call.read(), CANCELLED);
  },

  async timeout_on_sleeping_server(face) {
    const call = face.duplex("FullDuplexCall", { timeoutMs: 1 });
    // The deadline may pass before the message is taken; what the call says in the end is what counts.
    call.write({ payload: zeros(REQUESTS[0]) }).catch(() => {});
    await rejectsWith(call.read(), DEADLINE_EXCEEDED);
  },
};

function zeros(size) {
  return { body: Buffer.alloc(size) };
}

function bodySize(response) {
  return response.payload.body.length;
}

function checkEchoed({ header, trailer }) {
  assert.deepEqual(header.all(INITIAL_KEY), [INITIAL_VALUE]);
  assert.deepEqual(trailer.all(TRAILING_KEY), [TRAILING_VALUE]);
}

async function rejectsWith(promise, code, details) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, `expected status ${code}, got ${error.message}`);
    if (details !== undefined) assert.equal(error.details, details);
    return true;
  });
}

module.exports = { CASES };
