// Builds the package in place: the addon beside package.json, the shim in dist/.
//   node scripts/build.mjs [--debug] [--shim]
// --debug: an unoptimized addon. --shim: the TypeScript only.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BODY, bundle, platform } from "./shim.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const dist = join(root, "dist");

buildShim();
if (!process.argv.includes("--shim")) buildAddon(process.argv.includes("--debug"));

function buildShim() {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  writeTypes("index.d.ts");
  writeFileSync(BODY, bundle("index.ts"));
  writeEntryForModules(Object.keys(require(BODY)).filter((name) => name !== "default"));
}

/** Of all declarations, those that a user's compiler comes to. */
function writeTypes(entry) {
  const all = mkdtempSync(join(tmpdir(), "fallom-types-"));
  try {
    const flags = ["--emitDeclarationOnly", "--outDir", all];
    run(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", root, ...flags]);
    const kept = new Set([entry]);
    for (const file of kept) {
      const text = readFileSync(join(all, file), "utf8");
      for (const [, path] of text.matchAll(/(?:from |import\()"(\.[^"]+)"/g)) {
        kept.add(`${join(dirname(file), path)}.d.ts`);
      }
      mkdirSync(dirname(join(dist, file)), { recursive: true });
      writeFileSync(join(dist, file), text);
    }
  } finally {
    rmSync(all, { recursive: true, force: true });
  }
}

/**
 * ES modules get the CommonJS body's own exports, so that both share one instance. They take them from a file that only
 * says their names: Node 20 reads the whole text of a CommonJS file to find them, 20 ms for one as long as the body.
 */
function writeEntryForModules(names) {
  const lines = [...names.map((name) => [name, name]), ["fallom", "default"]];
  const write = (file, text) => writeFileSync(join(dist, file), text);
  write(
    "exports.js",
    `"use strict";\nconst body = require("./index.js");\n${lines
      .map(([name, of]) => `exports.${name} = body.${of};\n`)
      .join("")}`,
  );
  write("index.mjs", `export { ${names.join(", ")}, fallom as default } from "./exports.js";\n`);
  write("exports.d.ts", 'export * from "./index";\nexport { fallom } from "./fallom";\n');
  write("index.d.mts", 'export * from "./index.js";\nexport { fallom as default } from "./exports.js";\n');
}

function buildAddon(debug) {
  const args = ["build", "--lib", "--package", "fallom-trace", "--message-format=json-render-diagnostics"];
  const output = run("cargo", debug ? args : [...args, "--release"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const built = output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter((message) => message.reason === "compiler-artifact" && message.target.kind.includes("cdylib"))
    .flatMap((message) => message.filenames)
    .find((file) => /\.(so|dylib|dll)$/.test(file));
  if (!built) throw new Error("cargo built no addon");
  const addon = join(root, `fallom-trace.${platform()}.node`);
  // Put in place whole: a process that has the old one loaded keeps it.
  copyFileSync(built, `${addon}.new`);
  renameSync(`${addon}.new`, addon);
  console.log(`built ${addon}`);
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    ...options,
  });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result.stdout ?? "";
}
