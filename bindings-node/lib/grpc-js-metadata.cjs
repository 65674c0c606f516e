"use strict";

/** Metadata of grpc-js, to and from blocks. The class is the caller's own: two copies of grpc-js may be in one tree. */

const { entryBlock, forEachEntry, isBinaryKey } = require("./block.cjs");

/** The block for a caller's metadata. Its class has validated it; what the engine refuses, the engine names. */
function blockOfGrpcMetadata(metadata) {
  let block = "";
  for (const [key, value] of grpcEntries(metadata)) {
    // grpc-js drops these silently, and so do we for its clients.
    if (key[0] !== ":") block += entryBlock(key, value);
  }
  return block;
}

function* grpcEntries(metadata) {
  for (const key of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(key)) yield [key, value];
  }
}

/** A new object of the class, filled as grpc-js fills it: repeated text values are one value, joined. */
function grpcMetadata(MetadataClass, block) {
  const metadata = new MetadataClass();
  if (block === "") return metadata;
  const texts = new Map();
  forEachEntry(block, (key, value) => {
    if (isBinaryKey(key)) metadata.add(key, value);
    else texts.set(key, texts.has(key) ? `${texts.get(key)}, ${value}` : value);
  });
  for (const [key, value] of texts) metadata.set(key, value);
  return metadata;
}

module.exports = { blockOfGrpcMetadata, grpcEntries, grpcMetadata };
