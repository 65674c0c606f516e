"use strict";

/** Finds and loads the addon, and checks that it belongs to this JavaScript. */

const fs = require("node:fs");
const path = require("node:path");
const { platformPackages } = require("./platforms.cjs");
const { version } = require("../package.json");

module.exports = load();

function load() {
  const failures = [];
  for (const candidate of candidates()) {
    try {
      const addon = candidate.load();
      checkVersion(addon, candidate.name);
      return addon;
    } catch (error) {
      failures.push(`  ${candidate.name}: ${firstLine(error)}`);
      // A file somebody named by hand is used or refused, never passed over for another.
      if (candidate.only) break;
    }
  }
  throw new Error(explain(failures));
}

function* candidates() {
  const named = process.env.LINKSPAN_NATIVE;
  if (named) {
    yield { name: `LINKSPAN_NATIVE=${named}`, only: true, load: () => require(path.resolve(named)) };
    return;
  }
  for (const { triple } of platformPackages()) {
    const file = path.join(__dirname, "..", "native", `linkspan.${triple}.node`);
    yield { name: file, load: () => (fs.existsSync(file) ? require(file) : missing("no such file (npm run build makes it)")) };
  }
  for (const { name } of platformPackages()) {
    yield { name: `package ${name}`, load: () => require(name) };
  }
}

function missing(why) {
  throw new Error(why);
}

function checkVersion(addon, name) {
  const found = addon.version();
  if (found !== version) {
    throw new Error(`the addon is version ${found}, the JavaScript beside it ${version}; install both from one release (${name})`);
  }
}

function explain(failures) {
  const packages = platformPackages().map(({ name }) => name).join(" or ");
  const tried = failures.length > 0 ? `Tried:\n${failures.join("\n")}\n` : "";
  return (
    `linkspan could not load its native addon for ${process.platform}-${process.arch}.\n${tried}` +
    (packages
      ? `It is in the package ${packages}, an optional dependency of linkspan. Two usual causes: optional dependencies ` +
        "are switched off (--omit=optional), or the lock file was made on another platform (delete it and install again)."
      : "There is no prebuilt addon for this platform; build it with `npm run build` and name the file in LINKSPAN_NATIVE.")
  );
}

function firstLine(error) {
  return String(error?.message ?? error).split("\n", 1)[0];
}
