// Packs one built addon as the platform package it is shipped in.
//
//   node scripts/pack-platform.mjs <triple> [destination folder]
//
// The package holds the .node file and its manifest, nothing else. Prints the tarball's path.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { PLATFORMS } = require("../lib/platforms.cjs");

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const [triple, destination = join(here, "..", "dist")] = process.argv.slice(2);
const platform = PLATFORMS.find((each) => each.triple === triple);
if (platform === undefined) {
  const known = PLATFORMS.map((each) => each.triple).join(", ");
  throw new Error(`usage: pack-platform.mjs <triple> [destination]; the triples are ${known}`);
}

const file = `linkspan.${triple}.node`;
const addon = join(here, "native", file);
if (!existsSync(addon)) throw new Error(`${addon} does not exist; build it first: node scripts/build.mjs`);

const folder = mkdtempSync(join(tmpdir(), "linkspan-pack-"));
try {
  copyFileSync(addon, join(folder, file));
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest(), undefined, 2));
  process.stdout.write(`${pack()}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

function manifest() {
  const { version, license, engines } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  return {
    name: platform.name,
    version,
    description: `linkspan's native addon for ${triple}`,
    license,
    engines,
    main: file,
    files: [file],
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc && { libc: [platform.libc] }),
  };
}

function pack() {
  const target = resolve(destination);
  mkdirSync(target, { recursive: true });
  execFileSync("npm", ["pack", "--pack-destination", target], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  // npm writes a scope into the file's name without its sign.
  const { name, version } = manifest();
  return join(target, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`);
}
