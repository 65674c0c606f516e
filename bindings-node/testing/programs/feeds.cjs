"use strict";

// A feed without end, to a server that ends the call: its end must reach a program that is busy writing.

const { Channel } = require("../../index.cjs");

async function* endless() {
  for (;;) yield Buffer.alloc(10);
}

new Channel(process.argv[2])
  .clientStreaming("/test.Echo/ClientStream", endless())
  .catch(({ details }) => process.stdout.write(JSON.stringify({ details })));
