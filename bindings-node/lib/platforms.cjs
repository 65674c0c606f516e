"use strict";

/** The platforms an addon can be built for, and the package each one is shipped in. */

const SCOPE = "@linkspan";

const PLATFORMS = [
  { triple: "linux-x64-gnu", os: "linux", cpu: "x64", libc: "glibc" },
  { triple: "linux-arm64-gnu", os: "linux", cpu: "arm64", libc: "glibc" },
  { triple: "linux-x64-musl", os: "linux", cpu: "x64", libc: "musl" },
  { triple: "linux-arm64-musl", os: "linux", cpu: "arm64", libc: "musl" },
  { triple: "darwin-x64", os: "darwin", cpu: "x64" },
  { triple: "darwin-arm64", os: "darwin", cpu: "arm64" },
  { triple: "win32-x64-msvc", os: "win32", cpu: "x64" },
].map((platform) => ({ ...platform, name: `${SCOPE}/${platform.triple}` }));

/**
 * The platforms this process may be: one, or on Linux two. Which C library runs us is not worth a report of the
 * whole process; an addon for the other one does not load, and the next is tried.
 */
function platformPackages() {
  return PLATFORMS.filter(({ os, cpu }) => os === process.platform && cpu === process.arch);
}

module.exports = { PLATFORMS, platformPackages };
