"use strict";

// One call with the default trust, whatever the environment says that is.

const { Channel } = require("../../index.cjs");

const channel = new Channel(process.argv[2], { tls: true });
channel.unary("/test.Echo/Unary", Buffer.alloc(0), { timeoutMs: 20_000 }).then(
  () => process.stdout.write(JSON.stringify({ outcome: "OK" })),
  (error) => process.stdout.write(JSON.stringify({ outcome: error.code })),
);
