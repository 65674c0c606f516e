// Packs the package itself, with the platform packages as its optional dependencies.
//
//   node scripts/pack-main.mjs [destination folder]
//
// They stand in the shipped manifest only: a checkout builds its own addon, and its lock file must not name packages
// that do not exist before the release that ships them. Prints the tarball's path.

import { cpSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packPackage } from "./npm-pack.mjs";

const { PLATFORMS } = createRequire(import.meta.url)("../lib/platforms.cjs");

const LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"];

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const { scripts, devDependencies, ...manifest } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const shipped = {
  ...manifest,
  files: [...manifest.files, ...LICENCES],
  optionalDependencies: Object.fromEntries(PLATFORMS.map(({ name }) => [name, manifest.version])),
};

const tarball = packPackage(shipped, process.argv[2] ?? join(here, "..", "dist"), (folder) => {
  for (const entry of [...manifest.files, "README.md"]) {
    cpSync(join(here, entry), join(folder, entry), { recursive: true });
  }
  for (const licence of LICENCES) cpSync(join(here, "..", licence), join(folder, licence));
});
process.stdout.write(`${tarball}\n`);
