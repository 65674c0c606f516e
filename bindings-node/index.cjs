"use strict";

const { Channel } = require("./lib/channel.cjs");
const { Code, State } = require("./lib/codes.cjs");
const { setLogger } = require("./lib/log.cjs");
const { Metadata } = require("./lib/metadata.cjs");
const { RpcError } = require("./lib/rpc-error.cjs");

module.exports = { Channel, Code, Metadata, RpcError, State, setLogger };
