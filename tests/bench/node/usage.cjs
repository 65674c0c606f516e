"use strict";

/** What the process has used of the machine. */

const fs = require("node:fs");

const MICROSECONDS = 1e6;
const NANOSECONDS = 1e9;

/** Of the kernel's account of the main thread; its first number is the time on a CPU. Linux only. */
const MAIN_THREAD = `/proc/self/task/${process.pid}/schedstat`;

function used() {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now(), user, system, mainThread: mainThreadNanoseconds() };
}

/** What was used since then, as answers have it. */
function since(before) {
  const after = used();
  const mainThread = after.mainThread === null ? null : (after.mainThread - before.mainThread) / NANOSECONDS;
  return {
    wall_s: (after.wall - before.wall) / 1000,
    user_s: (after.user - before.user) / MICROSECONDS,
    system_s: (after.system - before.system) / MICROSECONDS,
    main_thread_s: mainThread,
  };
}

function mainThreadNanoseconds() {
  try {
    return Number(fs.readFileSync(MAIN_THREAD, "utf8").split(" ", 1)[0]);
  } catch {
    return null;
  }
}

module.exports = { since, used };
