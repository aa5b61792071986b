// Programs with a spool, and servers that come and go.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startFallom } from "./fallom.mjs";

/** A folder for the spool, removed at the end of the test. */
export function spoolFolder(test) {
  const dir = mkdtempSync(join(tmpdir(), "fallom-spool-test-"));
  test.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** The files in a spool, in all of its folders. */
export function filesOf(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/**
 * A server that can be down, at a port that stays the same. `up` starts it and says how to ask it; before that, and after
 * `down`, connections are refused.
 */
export async function comingAndGoing(test, options = {}) {
  let server = await startFallom(options);
  const { urls, url } = server;
  await server.close();
  server = undefined;
  const down = async () => {
    await server?.close();
    server = undefined;
  };
  test.after(down);
  return {
    urls,
    down,
    up: async () => {
      server = await startFallom({ ...options, port: Number(new URL(url).port) });
      return server;
    },
  };
}
