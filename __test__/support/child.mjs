// Programs for `runProgram` that are written as functions, in the test that runs them.

import assert from "node:assert/strict";

/**
 * A program that calls `body` and prints what it returns as JSON, for `resultOf`. The function goes over as text, so
 * it sees nothing but its argument: what `@fallom/trace` exports, with `fallom` for the default, `options` and `args`.
 * @param {(given: object) => unknown} body
 * @param {{ options?: object, args?: object } & import("./program.mjs").Program} [program]
 */
export function child(body, { options = {}, args = {}, ...program } = {}) {
  const source = `
import * as exported from "@fallom/trace";
const body = ${body};
const given = JSON.parse(process.argv[2]);
const result = await body({ ...exported, fallom: exported.default, ...given });
if (result !== undefined) console.log(JSON.stringify(result));
`;
  return { ...program, source, args: [JSON.stringify({ options, args })] };
}

/** What the program's function returned; fails if it failed. */
export function resultOf({ stdout, stderr, code, signal }) {
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1));
}

/** What was said on stderr, line by line. */
export function warningsOf({ stderr }) {
  return stderr.split("\n").filter((line) => line.startsWith("[fallom]"));
}

/** Options of `init` for a server. */
export const optionsFor = (server, more) => ({ apiKey: "test-key", ...server.urls, ...more });

/** Traces one span of a session, and tells the ledger after a flush. */
export async function traceOne({ fallom, options, args }) {
  const promise = fallom.init(options);
  const value = await promise;
  const session = fallom.session({ configKey: "app", sessionId: args.sessionId });
  const sum = await fallom.trace.wrapTraced(session, "sum", async (a, b) => a + b)(1, 2);
  await fallom.flush();
  return { value: value === undefined, sum, stats: fallom.stats() };
}
