// Which of the platforms in lib/platforms.cjs this machine is.

import { createRequire } from "node:module";

const { PLATFORMS } = createRequire(import.meta.url)("../lib/platforms.cjs");

export function platformOf(triple) {
  const platform = PLATFORMS.find((each) => each.triple === triple);
  if (platform === undefined) {
    throw new Error(`${triple} is no platform triple; there are ${PLATFORMS.map((each) => each.triple).join(", ")}`);
  }
  return platform;
}

export function thisPlatform() {
  const libc = process.platform === "linux" ? (hasGlibc() ? "glibc" : "musl") : undefined;
  const platform = PLATFORMS.find(
    ({ os, cpu, libc: wanted }) => os === process.platform && cpu === process.arch && wanted === libc,
  );
  if (platform === undefined) {
    throw new Error(`no platform triple is known for ${process.platform}-${process.arch}; name one`);
  }
  return platform;
}

function hasGlibc() {
  return process.report.getReport().header.glibcVersionRuntime !== undefined;
}
