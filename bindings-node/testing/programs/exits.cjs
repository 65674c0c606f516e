"use strict";

// process.exit in the middle of many calls.

const { Channel } = require("../../index.cjs");

const CALLS = 500;
const channel = new Channel(process.argv[2]);
let answers = 0;

async function callForEver() {
  for (;;) {
    await channel.unary("/test.Echo/Unary", Buffer.alloc(100));
    answers += 1;
    if (answers === CALLS) {
      process.stdout.write(JSON.stringify({ answers }));
      process.exit(0);
    }
  }
}

for (let i = 0; i < 50; i++) callForEver();
