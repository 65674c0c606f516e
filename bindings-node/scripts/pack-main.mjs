// Packs the package itself, with the platform packages as its optional dependencies.
//
//   node scripts/pack-main.mjs [destination folder]
//
// They stand in the shipped manifest only: a checkout builds its own addon, and its lock file must not name packages
// that do not exist before the release that ships them. Prints the tarball's path.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { PLATFORMS } = require("../lib/platforms.cjs");

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const [destination = join(here, "..", "dist")] = process.argv.slice(2);

const folder = mkdtempSync(join(tmpdir(), "linkspan-pack-"));
try {
  const manifest = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  for (const entry of [...manifest.files, "README.md"]) {
    cpSync(join(here, entry), join(folder, entry), { recursive: true });
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify(shipped(manifest), undefined, 2));
  process.stdout.write(`${pack()}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

function shipped({ scripts, devDependencies, ...manifest }) {
  return {
    ...manifest,
    optionalDependencies: Object.fromEntries(PLATFORMS.map(({ name }) => [name, manifest.version])),
  };
}

function pack() {
  const target = resolve(destination);
  mkdirSync(target, { recursive: true });
  execFileSync("npm", ["pack", "--pack-destination", target], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(target, `${name}-${version}.tgz`);
}
