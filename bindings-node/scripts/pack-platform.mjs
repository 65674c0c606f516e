// Packs one built addon as the platform package it is shipped in.
//
//   node scripts/pack-platform.mjs [--triple <platform triple>] [destination folder]
//
// The package holds the .node file and its manifest, nothing else. Prints the tarball's path.

import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { packPackage } from "./npm-pack.mjs";
import { platformOf, thisPlatform } from "./this-platform.mjs";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const { values, positionals } = parseArgs({ options: { triple: { type: "string" } }, allowPositionals: true });

const platform = values.triple === undefined ? thisPlatform() : platformOf(values.triple);
const file = `linkspan.${platform.triple}.node`;
const addon = join(here, "native", file);
if (!existsSync(addon)) throw new Error(`${addon} does not exist; build it first: npm run build`);

const tarball = packPackage(manifest(), positionals[0] ?? join(here, "..", "dist"), (folder) => {
  copyFileSync(addon, join(folder, file));
});
process.stdout.write(`${tarball}\n`);

function manifest() {
  const { version, license, engines } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  return {
    name: platform.name,
    version,
    description: `linkspan's native addon for ${platform.triple}`,
    license,
    engines,
    main: file,
    files: [file],
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc && { libc: [platform.libc] }),
  };
}
