// Packs a package that is put together in a temporary folder.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

// `fill(folder)` puts everything but the manifest there. Answers with the tarball's path.
export function packPackage(manifest, destination, fill) {
  const folder = mkdtempSync(join(tmpdir(), "linkspan-pack-"));
  const target = resolve(destination);
  mkdirSync(target, { recursive: true });
  try {
    fill(folder);
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, undefined, 2));
    execFileSync("npm", ["pack", "--silent", "--pack-destination", target], {
      cwd: folder,
      stdio: ["ignore", "ignore", "inherit"],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
  // npm writes a scope into the file's name without its sign.
  return join(target, `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`);
}
