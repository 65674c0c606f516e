"use strict";

// Workers that call all the time are terminated, one after the other, while the main thread goes on calling.

const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { Channel } = require("../../index.cjs");

const WORKERS = 50;
const AT_A_TIME = 5;
const LOOPS = 20;
const UNARY = "/test.Echo/Unary";

if (isMainThread) main(process.argv[2]);
else loadForEver(new Channel(workerData));

function loadForEver(channel) {
  for (let i = 0; i < LOOPS; i++) callForEver(channel);
  // A stream that never ends, so that a call is open at the end for certain.
  channel.open("/test.Echo/Bidi").write(Buffer.alloc(1));
}

async function callForEver(channel) {
  for (;;) {
    await channel.unary(UNARY, Buffer.alloc(1000));
    parentPort.postMessage("called");
  }
}

async function main(address) {
  const channel = new Channel(address);
  let mainCalls = 0;
  let isOver = false;
  const calling = (async () => {
    while (!isOver) {
      await channel.unary(UNARY, Buffer.alloc(10));
      mainCalls += 1;
    }
  })();
  let started = 0;
  const runWorkers = async () => {
    while (started < WORKERS) {
      started += 1;
      await terminateUnderLoad(address);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, runWorkers));
  isOver = true;
  await calling;
  process.stdout.write(JSON.stringify({ workers: started, mainCalls, failed: channel.metrics().calls.failed }));
}

async function terminateUnderLoad(address) {
  const worker = new Worker(__filename, { workerData: address });
  await new Promise((resolve, reject) => {
    let messages = 0;
    worker.on("message", () => ++messages === 10 && resolve());
    worker.on("error", reject);
  });
  await worker.terminate();
}
