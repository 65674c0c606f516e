// Builds the addon in release mode and puts it where lib/native.cjs looks for a local build.
//
//   node scripts/build.mjs [--target <rust target> --triple <platform triple>]
//
// Without arguments: for this machine.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { platformOf, thisPlatform } from "./this-platform.mjs";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const { values } = parseArgs({ options: { target: { type: "string" }, triple: { type: "string" } } });

const { triple } = values.triple === undefined ? thisPlatform() : platformOf(values.triple);
const built = build(values.target);
const destination = join(here, "native", `linkspan.${triple}.node`);
mkdirSync(dirname(destination), { recursive: true });
// A process that has the old file loaded keeps it: the name changes hands, the file is not overwritten.
copyFileSync(built, `${destination}.new`);
renameSync(`${destination}.new`, destination);
process.stdout.write(`${destination}\n`);

function build(target) {
  const args = ["build", "--release", "-p", "linkspan-node", "--message-format=json-render-diagnostics"];
  if (target) args.push("--target", target);
  const output = execFileSync("cargo", args, {
    cwd: here,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 * 1024 * 1024,
  });
  for (const line of output.split("\n").filter(Boolean)) {
    const message = JSON.parse(line);
    if (message.reason === "compiler-artifact" && message.target.name === "linkspan_node") {
      const library = message.filenames.find((file) => /\.(so|dylib|dll)$/.test(file));
      if (library) return library;
    }
  }
  throw new Error("cargo built no library named linkspan_node");
}
