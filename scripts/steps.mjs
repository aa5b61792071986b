// What the scripts share: named and timed steps, and other programs run from here.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Runs one step, and says how it went. Its error goes on to the caller. */
export async function step(name, action) {
  const begun = performance.now();
  const say = (mark) => console.log(`${mark} ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  try {
    const result = await action();
    say("✓");
    return result;
  } catch (error) {
    say("✗");
    throw error;
  }
}

/** Ends the process with the message of what went wrong: the last word of a script. */
export function fail(error) {
  console.error(`\n${error instanceof Failed ? error.message : (error.stack ?? error)}`);
  process.exit(1);
}

/** A program that ended badly. What it said is part of the message, unless it could be seen at once. */
export class Failed extends Error {}

/**
 * Runs a program and waits for its end.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, show?: boolean }} [options] show: its output, as it comes
 */
export function run(command, args, { cwd = ROOT, env = {}, show = false } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", show ? "inherit" : "pipe", show ? "inherit" : "pipe"],
    // Windows has npm as a batch file only.
    shell: process.platform === "win32" && command === "npm",
  });
  const output = [];
  child.stdout?.on("data", (chunk) => output.push(chunk));
  child.stderr?.on("data", (chunk) => output.push(chunk));
  return new Promise((resolve, reject) => {
    const line = [command, ...args].join(" ");
    child.once("error", (error) => reject(new Failed(`cannot run ${line}: ${error.message}`)));
    child.once("close", (code, signal) => {
      const said = Buffer.concat(output).toString();
      if (code === 0) resolve(said);
      else reject(new Failed(`${said}\nfailed with ${code ?? signal}: ${line}`.trimStart()));
    });
  });
}
