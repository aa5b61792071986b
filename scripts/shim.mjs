// The shim as JavaScript: bundled for dist/, or one file of it for scripts and tests that need what is inside.

import { createRequire } from "node:module";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import { buildSync } from "esbuild";
import { ROOT } from "./steps.mjs";

/** Where the shim runs from: addons are looked for beside it. */
export const BODY = join(ROOT, "dist/index.js");

/**
 * The text of a file of the shim with all that it imports, as one CommonJS module. One file is read and compiled in a
 * fifth of the time that thirty take. It is not minified and has no source map: minified it loads no faster, and a stack
 * trace that a user sends shows the shim's own names as it is.
 * @param {string} file in shim/
 */
export function bundle(file) {
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, "shim", file)],
    absWorkingDir: ROOT,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    // Only at run time is it known which platform's package is there, if any.
    external: ["@fallom/*"],
    write: false,
    logLevel: "warning",
  });
  return outputFiles[0].text;
}

/**
 * What a file of the shim exports, for those who need what `dist/` does not show. It shares nothing with `dist/`.
 * @param {string} file in shim/
 */
export function shim(file) {
  const module = { exports: {} };
  compileFunction(bundle(file), ["exports", "require", "module", "__filename"], {
    filename: join(ROOT, "shim", file),
  })(module.exports, createRequire(BODY), module, BODY);
  return module.exports;
}

/** What the core is called on this machine: `<platform>-<arch>[-<abi>]`. */
export function platform() {
  return shim("native.ts").platform();
}
