"use strict";

/** gRPC's interop cases through both faces: node interop.cjs HOST:PORT [CASE...] */

const { CASES } = require("./interop/cases.cjs");
const { GrpcJsFace } = require("./interop/grpc-js-face.cjs");
const { NativeFace } = require("./interop/native-face.cjs");
const { failed, guard } = require("./guard.cjs");

const HANG_GUARD_SECONDS = 120;

async function main([target, ...named]) {
  const names = named.length > 0 ? named : Object.keys(CASES);
  const unknown = names.filter((name) => CASES[name] === undefined);
  if (target === undefined || unknown.length > 0) {
    process.stderr.write(`usage: node interop.cjs HOST:PORT [CASE...]; the cases are ${Object.keys(CASES).join(" ")}\n`);
    process.exitCode = 2;
    return;
  }
  guard(HANG_GUARD_SECONDS);
  let failures = 0;
  for (const name of names) {
    for (const Face of [NativeFace, GrpcJsFace]) failures += (await run(name, new Face(target))) ? 0 : 1;
  }
  process.stdout.write(`${names.length * 2 - failures} passed, ${failures} failed\n`);
  if (failures > 0) process.exitCode = 1;
}

async function run(name, face) {
  try {
    await CASES[name](face);
    process.stdout.write(`ok ${name} (${face.name})\n`);
    return true;
  } catch (error) {
    process.stdout.write(`FAILED ${name} (${face.name}): ${String(error?.message ?? error).replaceAll("\n", " ")}\n`);
    return false;
  } finally {
    face.close();
  }
}

main(process.argv.slice(2)).catch(failed);
