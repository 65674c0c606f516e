"use strict";

// Callbacks that throw: what does the process hear of it, and do the other events of the batch arrive?

const { Channel } = require("../../index.cjs");
const { grpc } = require("../server.cjs");

const CALLS = 20;
const heard = [];
const warnings = [];
process.on("uncaughtException", (error) => {
  heard.push({ message: error.message, hasOwnStack: error.stack.includes("throws.cjs") });
});
process.on("warning", (warning) => warnings.push(warning.message));

let ended = 0;

function startOne(channel, i) {
  const call = channel.createCall("/test.Echo/Unary", Infinity);
  call.start(new grpc.Metadata(), {
    onReceiveMetadata() {},
    onReceiveMessage() {
      if (i % 2 === 0) throw new Error(`thrown by message ${i}`);
    },
    onReceiveStatus() {
      ended += 1;
      if (i % 4 === 0) throw new Error(`thrown by status ${i}`);
    },
  });
  call.startRead();
  call.sendMessageWithContext({}, Buffer.alloc(0));
  call.halfClose();
}

const channel = new Channel(process.argv[2]);
for (let i = 0; i < CALLS; i++) startOne(channel, i);
process.on("exit", () => process.stdout.write(JSON.stringify({ calls: CALLS, ended, heard, warnings })));
