"use strict";

/**
 * The Node client of `make demo`: a grpc-js client over a linkspan channel that calls until its time is over and
 * tells what it sees, one JSON line each.
 *
 *   node demo_client.cjs --name NAME --target TARGET --seconds N [--wait-for-ready]
 */

const { parseArgs } = require("node:util");
const { Channel } = require("../../bindings-node/index.cjs");
const { failed, guard } = require("./guard.cjs");
const { clientOver, grpc } = require("./service.cjs");

const HANG_GUARD_SECONDS = 120;
const IN_FLIGHT = 4;
const PAUSE_MS = 10;
const DEADLINE_MS = 5000;
/** Several failed attempts may have to be waited for, each with a longer pause than the one before. */
const WAITING_DEADLINE_MS = 20_000;
const LOOK_AT_EVENTS_MS = 50;
const TELL_TOTALS_MS = 500;
const REQUEST = { fillServerId: true, responseSize: 16 };

class DemoClient {
  #name;
  #channel;
  #client;
  #waitForReady;
  #lastEvent = 0;
  #servers = {};
  #codes = {};
  #ok = 0;
  #failed = 0;

  constructor({ name, target, waitForReady }) {
    this.#name = name;
    this.#waitForReady = waitForReady;
    this.#channel = new Channel(target);
    this.#client = clientOver(this.#channel);
  }

  async run(seconds) {
    const until = Date.now() + seconds * 1000;
    const looking = setInterval(() => this.#tellEvents(), LOOK_AT_EVENTS_MS);
    const telling = setInterval(() => this.#tellTotals(), TELL_TOTALS_MS);
    await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.#callUntil(until)));
    clearInterval(looking);
    clearInterval(telling);
    this.#tellTotals();
    this.#channel.close();
    this.#tellEvents();
    this.#tell("done", { ok: this.#ok, failed: this.#failed, codes: this.#codes, servers: this.#servers });
  }

  async #callUntil(until) {
    while (Date.now() < until) {
      await this.#call();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #call() {
    const metadata = new grpc.Metadata({ waitForReady: this.#waitForReady });
    const deadline = Date.now() + (this.#waitForReady ? WAITING_DEADLINE_MS : DEADLINE_MS);
    return new Promise((resolve) => {
      this.#client.UnaryCall(REQUEST, metadata, { deadline }, (error, response) => {
        if (error) this.#countFailure(error);
        else this.#countAnswer(response.serverId);
        resolve();
      });
    });
  }

  #countAnswer(server) {
    this.#ok += 1;
    count(this.#codes, "OK");
    count(this.#servers, server);
  }

  #countFailure(error) {
    const code = grpc.status[error.code] ?? String(error.code);
    this.#failed += 1;
    count(this.#codes, code);
    this.#tell("error", { code, text: error.details });
  }

  #tellEvents() {
    for (const { sequence, from, to, cause, address = null } of this.#channel.events(this.#lastEvent)) {
      this.#lastEvent = sequence;
      this.#tell("state", { from, to, cause, address });
    }
  }

  #tellTotals() {
    this.#tell("calls", { ok: this.#ok, failed: this.#failed, servers: this.#servers });
  }

  #tell(kind, rest) {
    process.stdout.write(`${JSON.stringify({ t: Date.now(), client: this.#name, kind, ...rest })}\n`);
  }
}

function count(counts, name) {
  counts[name] = (counts[name] ?? 0) + 1;
}

function main() {
  const { values } = parseArgs({
    options: {
      name: { type: "string" },
      target: { type: "string" },
      seconds: { type: "string" },
      "wait-for-ready": { type: "boolean", default: false },
    },
  });
  const { name, target, seconds, "wait-for-ready": waitForReady } = values;
  if (name === undefined || target === undefined || !(Number(seconds) > 0)) {
    process.stderr.write("usage: node demo_client.cjs --name NAME --target TARGET --seconds N [--wait-for-ready]\n");
    process.exitCode = 2;
    return undefined;
  }
  guard(Number(seconds) + HANG_GUARD_SECONDS);
  return new DemoClient({ name, target, waitForReady }).run(Number(seconds));
}

Promise.resolve().then(main).catch(failed);
