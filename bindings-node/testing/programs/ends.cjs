"use strict";

// Does one thing and then has nothing to do: the process must end by itself. Prints what it had said by then.

const [situation, address] = process.argv.slice(2);
const { Channel, State } = require("../../index.cjs");

const UNARY = "/test.Echo/Unary";
const EMPTY = Buffer.alloc(0);

const SITUATIONS = {
  construct: () => void new Channel(address),
  connect: () => void new Channel(address).getConnectivityState(true),
  async call() {
    await new Channel(address).unary(UNARY, EMPTY);
  },
  async stream() {
    for await (const _ of new Channel(address).serverStreaming("/test.Echo/ServerStream", Buffer.from("abc")));
  },
  async ready() {
    await new Channel(address).ready();
  },
  unstarted: () => void new Channel(address).createCall(UNARY, Infinity),
  watchWithoutDeadline: () => new Channel(address).watchConnectivityState(State.IDLE, Infinity, () => {}),
  async keepalive() {
    const options = { "grpc.keepalive_time_ms": 10_000, "grpc.keepalive_permit_without_calls": 1 };
    await new Channel(address, options).unary(UNARY, EMPTY);
  },
  // The rest waits for something, and says so when it has come.
  watchWithDeadline() {
    new Channel(address).watchConnectivityState(State.IDLE, Date.now() + 200, (error) => say(error.message));
  },
  failingCall() {
    new Channel(address).unary(UNARY, EMPTY, { timeoutMs: 200 }).catch((error) => say(String(error.code)));
  },
};

let said = "";
const say = (text) => (said = text);
process.on("exit", () => process.stdout.write(JSON.stringify({ said })));
SITUATIONS[situation]();
