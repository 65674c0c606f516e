"use strict";

/**
 * gRPC's interop cases, written once for both faces. Sizes and texts are those of the published descriptions. A case is called with
 * a face that has a channel of its own; `OPTIONS` says what that is made with.
 */

const assert = require("node:assert/strict");
const { setTimeout: pause } = require("node:timers/promises");

const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const ZEROS = Buffer.alloc(LARGE_RESPONSE);
const REQUESTS = [27182, 8, 1828, 45904];
const RESPONSES = [31415, 9, 2653, 58979];

const INITIAL_KEY = "x-grpc-test-echo-initial";
const INITIAL_VALUE = "test_initial_metadata_value";
const TRAILING_KEY = "x-grpc-test-echo-trailing-bin";
const TRAILING_VALUE = Buffer.from("0a0b0a0b0a0b", "hex");

const SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

const PICKS = 100;
const CONCURRENT_CALLS = 1000;
const LONG_LIVED_CALLS = 5;
const LONG_LIVED_INTERVAL_MS = 200;
const VERY_LARGE_REQUEST = 10 << 20;
/** Sent compressed, and as it is; and what is to come so. */
const COMPRESSED_REQUESTS = [[27182, true], [45904, false]];
const COMPRESSED_RESPONSES = [[31415, true], [92653, false]];
const OUT_OF_BAND_GUARD_MS = 30000;
const REPORTED_WITHIN_MS = 10000;
const CALLS_AT_ONCE = 10;
const MS_BETWEEN_CALLS = 1000;

const OPTIONS = {
  pick_first_unary: { "grpc.service_config": '{"loadBalancingConfig": [{"pick_first": {}}]}' },
  max_concurrent_streams_connection_scaling: {
    "grpc.service_config": '{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}',
  },
};

const CANCELLED = 1;
const UNKNOWN = 2;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

/** What every interop server serves. */
const EVERYWHERE = {
  async empty_unary(face) {
    const { message } = await face.unary("EmptyCall", {});
    assert.deepEqual({ ...message }, {});
  },

  async large_unary(face) {
    const request = { responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST) };
    const { message } = await face.unary("UnaryCall", request);
    assert.ok(message.payload.body.equals(ZEROS));
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

const LARGE = {
  async pick_first_unary(face) {
    const request = { responseSize: 1, payload: zeros(1), fillServerId: true };
    const servers = new Set();
    for (let call = 0; call < PICKS; call++) servers.add((await face.unary("UnaryCall", request)).message.serverId);
    assert.equal(servers.size, 1);
    assert.ok(!servers.has(""));
  },

  async max_concurrent_streams_connection_scaling(face) {
    const calls = [1, 2, 3].map(() => face.duplex("FullDuplexCall"));
    const peers = [];
    for (const call of calls) {
      await call.write({ responseParameters: [{ fillPeerSocketAddress: { value: true } }] });
      peers.push((await call.read()).peerSocketAddress);
    }
    for (const call of calls) {
      call.end();
      assert.equal(await call.read(), undefined);
    }
    assert.ok(peers[0] !== "" && peers[0] === peers[1] && peers[0] !== peers[2], `the calls came from ${peers}`);
  },

  concurrent_large_unary: (face) => largeAtOnce(face, CONCURRENT_CALLS),

  async long_lived_channel(face) {
    for (let call = 0; call < LONG_LIVED_CALLS; call++) {
      await EVERYWHERE.large_unary(face);
      await pause(LONG_LIVED_INTERVAL_MS);
    }
  },

  /** The server tells its load with the call; here it is read from the trailers, where policies read it too. */
  async orca_per_rpc(face) {
    const { trailer } = await face.unary("UnaryCall", { orcaPerQueryReport: load("1a", "22") });
    assert.deepEqual(trailer.all("endpoint-load-metrics-bin"), [load("22", "2a")]);
  },

  /**
   * The server tells its load beside the calls. The engine's policies do not read such reports yet, so the listener is this program's
   * own: a stream of them on the same channel, one each second, which an OrcaLoadReportRequest asks for.
   */
  async orca_oob(face) {
    const options = { timeoutMs: OUT_OF_BAND_GUARD_MS };
    const everySecond = Buffer.from("0a020801", "hex");
    const reports = face.serverStreamOfBytes("/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics", everySecond, options);
    const call = face.duplex("FullDuplexCall", options);
    try {
      for (const load of OUT_OF_BAND_LOADS) {
        await call.write({ responseParameters: [{ size: 1 }], orcaOobReport: load("22") });
        assert.equal(bodySize(await call.read()), 1);
        await reported(reports, load("2a"));
      }
      call.end();
      assert.equal(await call.read(), undefined);
    } finally {
      // Where something went wrong, both would go on.
      call.cancel();
      reports.cancel();
    }
  },

  async very_large_request(face) {
    const { message } = await face.unary("UnaryCall", { responseSize: 10, payload: zeros(VERY_LARGE_REQUEST) });
    assert.equal(bodySize(message), 10);
  },
};

/** The server judges by each request how it came, and compresses the responses it is asked to. */
const COMPRESSED = {
  async client_compressed_unary(face) {
    await rejectsWith(judgedUnary(face, true, false), INVALID_ARGUMENT);
    await COMPRESSED.client_compressed_unary_noprobe(face);
  },

  async client_compressed_unary_noprobe(face) {
    for (const compress of [true, false]) {
      const { message } = await judgedUnary(face, compress, compress);
      assert.ok(message.payload.body.equals(ZEROS));
    }
  },

  async server_compressed_unary(face) {
    for (const value of [true, false]) {
      const request = { responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST), responseCompressed: { value } };
      const { message } = await face.unary("UnaryCall", request);
      assert.ok(message.payload.body.equals(ZEROS));
    }
  },

  async client_compressed_streaming(face) {
    const [[size]] = COMPRESSED_REQUESTS;
    await rejectsWith(face.clientStreaming("StreamingInputCall", [judgedInput([size, true])]), INVALID_ARGUMENT);
    await COMPRESSED.client_compressed_streaming_noprobe(face);
  },

  async client_compressed_streaming_noprobe(face) {
    const sizes = [];
    if (face.constructor.leavesMessagesAsTheyAre) {
      const requests = COMPRESSED_REQUESTS.map(judgedInput);
      const asTheyAre = requests.filter(({ expectCompressed }) => !expectCompressed.value);
      sizes.push((await face.clientStreaming("StreamingInputCall", requests, { compress: true, asTheyAre })).aggregatedPayloadSize);
    } else {
      // Two calls: a call's messages are all compressed or none is.
      for (const request of COMPRESSED_REQUESTS) {
        const response = await face.clientStreaming("StreamingInputCall", [judgedInput(request)], { compress: request[1] });
        sizes.push(response.aggregatedPayloadSize);
      }
    }
    assert.equal(sizes.reduce((sum, size) => sum + size), 73086);
  },

  async server_compressed_streaming(face) {
    const responseParameters = COMPRESSED_RESPONSES.map(([size, value]) => ({ size, compressed: { value } }));
    const responses = await face.serverStreaming("StreamingOutputCall", { responseParameters });
    assert.deepEqual(responses.map(bodySize), COMPRESSED_RESPONSES.map(([size]) => size));
  },
};

function judgedUnary(face, value, compress) {
  const request = { responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST), expectCompressed: { value } };
  return face.unary("UnaryCall", request, { compress });
}

function judgedInput([size, value]) {
  return { payload: zeros(size), expectCompressed: { value } };
}

/** The negative cases of HTTP/2, [H2-1] to [H2-8]: the server does what its script says. */
const HTTP2 = {
  async goaway(face) {
    await EVERYWHERE.large_unary(face);
    await pause(MS_BETWEEN_CALLS);
    await EVERYWHERE.large_unary(face);
  },

  rst_after_header: (face) => rejectsWith(EVERYWHERE.large_unary(face), INTERNAL),
  rst_during_data: (face) => rejectsWith(EVERYWHERE.large_unary(face), INTERNAL),
  rst_after_data: (face) => rejectsWith(EVERYWHERE.large_unary(face), INTERNAL),
  ping: EVERYWHERE.large_unary,

  async max_streams(face) {
    await EVERYWHERE.large_unary(face);
    await largeAtOnce(face, CALLS_AT_ONCE);
  },

  data_frame_padding: EVERYWHERE.large_unary,
  no_df_padding_sanity_test: EVERYWHERE.large_unary,
};

/**
 * cpu 0.8210, memory 0.5847, request cost {cost: 3456.32}, utilization {util: 0.30499}: a TestOrcaReport or an OrcaLoadReport, by the
 * numbers of the two maps.
 */
function load(cost, utilization) {
  const start = "091283c0caa145ea3f1112143fc6dcb5e23f";
  return Buffer.from(`${start}${cost}0f0a04636f737411713d0ad7a300ab40${utilization}0f0a047574696c11bed9e6c6f484d33f`, "hex");
}

/** cpu 0.8210, memory 0.5847, utilization {util: 0.30499}, then 0.29309, 0.2 and {util: 0.2039}; again by the number of the map. */
const OUT_OF_BAND_LOADS = [
  (utilization) => Buffer.from(`091283c0caa145ea3f1112143fc6dcb5e23f${utilization}0f0a047574696c11bed9e6c6f484d33f`, "hex"),
  (utilization) => Buffer.from(`098b37328ffcc1d23f119a9999999999c93f${utilization}0f0a047574696c1161c3d32b6519ca3f`, "hex"),
];

/** Reads until a report is the wanted one. Silence is ended by the call's deadline. */
async function reported(reports, wanted) {
  const until = performance.now() + REPORTED_WITHIN_MS;
  for (;;) {
    const report = await reports.read();
    assert.ok(report !== undefined, "the reports ended");
    if (report.equals(wanted)) return;
    assert.ok(performance.now() <= until, "the reports still had another load than the server was told");
  }
}

async function largeAtOnce(face, count) {
  await Promise.all(Array.from({ length: count }, () => EVERYWHERE.large_unary(face)));
}

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

module.exports = { CASES: { ...EVERYWHERE, ...LARGE, ...COMPRESSED, ...HTTP2 }, EVERYWHERE, OPTIONS, bodySize, zeros };
