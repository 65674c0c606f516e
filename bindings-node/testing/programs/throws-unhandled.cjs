"use strict";

// A callback throws and nobody handles it: the process ends as for any uncaught exception.

const { Channel } = require("../../index.cjs");

new Channel(process.argv[2]).watchConnectivityState(0, Date.now(), function ownCallback() {
  throw new Error("nobody handles this");
});
