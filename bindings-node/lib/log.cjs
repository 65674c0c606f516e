"use strict";

/** Log lines of the engine, for a function of the program's. */

const { listenForLogLines, queue } = require("./environment.cjs");
const { argumentError } = require("./errors.cjs");

/** What lines are given to, and whether it has thrown. */
let logger = null;
let hasThrown = false;

/** `newLogger(level, room, text)` is called for every line up to `level`; null takes it away. */
function setLogger(newLogger, level = "info") {
  if (newLogger !== null && typeof newLogger !== "function") {
    throw new TypeError(`a logger is a function of level, room and text, or null, not ${typeof newLogger}`);
  }
  if (typeof level !== "string") throw new TypeError(`a log level is a string such as "debug", not ${typeof level}`);
  try {
    queue.setLogLevel(newLogger === null ? undefined : level);
  } catch (error) {
    throw argumentError(error);
  }
  logger = newLogger;
  hasThrown = false;
  listenForLogLines(newLogger === null ? undefined : takeLines);
}

function takeLines() {
  for (const { level, room, text } of queue.logLines()) {
    // It may have been taken away meanwhile.
    if (logger === null) return;
    try {
      logger(level, room, text);
    } catch (error) {
      if (!hasThrown) process.emitWarning(`linkspan's logger threw: ${error?.stack ?? error}`);
      hasThrown = true;
    }
  }
}

module.exports = { setLogger };
