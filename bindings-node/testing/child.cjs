"use strict";

/** Runs small programs in processes of their own, where what a process does as a whole can be seen. */

const { spawn } = require("node:child_process");
const path = require("node:path");

const PROGRAMS = path.join(__dirname, "programs");

/** For what hangs; nothing here takes more than a few moments. */
const GUARD_MS = 60_000;

/** Resolves, when the program has ended, to what it said and how it ended. */
function run(program, args = [], settings = {}) {
  return new Promise((resolve, reject) => {
    const child = start(program, args, settings);
    const output = { stdout: "", stderr: "" };
    for (const name of Object.keys(output)) {
      child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
    }
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ ...output, code, signal }));
  });
}

/** Like `run`, for a program that has to end well: resolves to the JSON it said. */
async function answerOf(program, args, settings) {
  const { stdout, stderr, code, signal } = await run(program, args, settings);
  if (code !== 0) throw new Error(`${program} ended with ${signal ?? code}\n${stdout}${stderr}`);
  return JSON.parse(stdout);
}

/** For a program that goes on: resolves to the JSON of its first line, and ends the program with the test. */
function running(t, program, args, settings) {
  return new Promise((resolve, reject) => {
    const child = start(program, args, settings);
    t.after(() => child.kill("SIGKILL"));
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      if (stdout.includes("\n")) resolve(JSON.parse(stdout));
    });
    child.on("close", (code, signal) => reject(new Error(`${program} ended with ${signal ?? code}`)));
  });
}

function start(program, args, { node = [], env = {} } = {}) {
  return spawn(process.execPath, [...node, path.join(PROGRAMS, program), ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: GUARD_MS,
    killSignal: "SIGKILL",
  });
}

module.exports = { answerOf, run, running };
