"use strict";

// A worker with an open call is terminated; then the main thread uses the same engine.

const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { Channel } = require("../../index.cjs");

if (isMainThread) main(process.argv[2]);
else openCall();

function main(address) {
  const worker = new Worker(__filename, { workerData: address });
  worker.on("message", () => worker.terminate());
  worker.on("exit", async () => {
    const { message } = await new Channel(address).unary("/test.Echo/Unary", Buffer.from("after"));
    process.stdout.write(JSON.stringify({ answer: message.toString() }));
  });
}

async function openCall() {
  const call = new Channel(workerData).open("/test.Echo/Bidi");
  call.write(Buffer.alloc(1));
  await call[Symbol.asyncIterator]().next();
  parentPort.postMessage("open");
}
