"use strict";

/** What the addon writes as the text of an event (`src/events.rs`), taken apart. Metadata stays a block. */

const { BlockReader } = require("./block.cjs");

/** Of a call's end. Only a unary call's has the header, for which others have an event. */
function readEnd(text) {
  const reader = new BlockReader(text);
  return {
    peer: reader.nextText(),
    details: reader.nextText(),
    trailer: reader.next(),
    header: reader.atEnd ? "" : reader.next(),
  };
}

function readHeaders(text) {
  const reader = new BlockReader(text);
  return { peer: reader.nextText(), header: reader.next() };
}

module.exports = { readEnd, readHeaders };
