"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const path = require("node:path");
const test = require("node:test");
const { promisify } = require("node:util");

const TSC = require.resolve("typescript/bin/tsc");
const FOLDER = path.join(__dirname, "..", "testing", "types");

// What must not compile is in consumer.cts too, marked as expected: tsc complains when it does compile.
for (const [module, moduleResolution] of [["node16", "node16"], ["nodenext", "nodenext"], ["esnext", "bundler"]]) {
  test(`types: CJS and ESM consumers compile strictly with ${moduleResolution} resolution`, async () => {
    const args = [TSC, "-p", FOLDER, "--module", module, "--moduleResolution", moduleResolution];
    const output = await promisify(execFile)(process.execPath, args).then(
      () => "",
      (error) => error.stdout,
    );
    assert.equal(output, "");
  });
}
