"use strict";

/** gRPC's interop cases through both faces: node interop.cjs HOST:PORT [--flag=value...] [CASE...] */

const { CASES, EVERYWHERE, OPTIONS } = require("./interop/cases.cjs");
const { channelOptions, readFlags } = require("./interop/flags.cjs");
const { GrpcJsFace } = require("./interop/grpc-js-face.cjs");
const { NativeFace } = require("./interop/native-face.cjs");
const { SOAKS } = require("./interop/soak.cjs");
const { failed, guard } = require("./guard.cjs");

const HANG_GUARD_SECONDS = 600;
const ALL = { ...CASES, ...SOAKS };

async function main(words) {
  const flags = read(words);
  if (flags === undefined) return;
  guard(HANG_GUARD_SECONDS);
  const names = flags.cases.length > 0 ? flags.cases : Object.keys(EVERYWHERE);
  let failures = 0;
  for (const name of names) {
    for (const Face of [NativeFace, GrpcJsFace]) failures += (await run(name, Face, flags)) ? 0 : 1;
  }
  process.stdout.write(`${names.length * 2 - failures} passed, ${failures} failed\n`);
  if (failures > 0) process.exitCode = 1;
}

function read(words) {
  try {
    const flags = readFlags(words);
    const unknown = flags.cases.filter((name) => ALL[name] === undefined);
    if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(" ")}; the cases are ${Object.keys(ALL).join(" ")}`);
    return flags;
  } catch (error) {
    process.stderr.write(`${error.message}\nusage: node interop.cjs HOST:PORT [--flag=value...] [CASE...]\n`);
    process.exitCode = 2;
    return undefined;
  }
}

async function run(name, Face, flags) {
  const open = () => new Face(flags.target, { ...channelOptions(flags), ...OPTIONS[name] });
  const label = `${name} (${Face.label})`;
  try {
    if (SOAKS[name] !== undefined) await SOAKS[name](open, flags);
    else await onOneChannel(open(), CASES[name]);
    process.stdout.write(`ok ${label}\n`);
    return true;
  } catch (error) {
    process.stdout.write(`FAILED ${label}: ${String(error?.message ?? error).replaceAll("\n", " ")}\n`);
    return false;
  }
}

async function onOneChannel(face, play) {
  try {
    await play(face);
  } finally {
    face.close();
  }
}

main(process.argv.slice(2)).catch(failed);
