"use strict";

/** Ends a program that hangs, loudly. The guard itself keeps nothing alive. */
function guard(seconds) {
  const timer = setTimeout(() => {
    process.stderr.write(`nothing came to an end within ${seconds} s\n`);
    process.exit(1);
  }, seconds * 1000);
  timer.unref();
}

/** Shows why the program could not do its work and makes that its exit code. */
function failed(error) {
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exitCode = 1;
}

module.exports = { failed, guard };
