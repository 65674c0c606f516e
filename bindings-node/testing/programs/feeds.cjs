"use strict";

// A feed without end, to a server that takes everything, and a timer that is to end it.

const { Channel } = require("../../index.cjs");

const AFTER_MS = 100;

async function* endless() {
  for (;;) yield Buffer.alloc(10);
}

const abort = new AbortController();
setTimeout(() => abort.abort("the timer had its turn"), AFTER_MS);
new Channel(process.argv[2])
  .clientStreaming("/test.Echo/ClientStream", endless(), { signal: abort.signal })
  .catch(({ cause }) => process.stdout.write(JSON.stringify({ cause })));
