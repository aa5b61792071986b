import { native } from "./native";
import { endWithProcess } from "./open-spans";
import type { FlushOptions, FlushResult, InitOptions, Stats } from "./types";

const DEFAULT_FLUSH_MS = 5000;

/**
 * Starts tracing, once at the start of the application. A second call may bring a new key or new URLs. Without a
 * key the application runs untraced. There is no need to wait for the promise: it is there for older callers, and
 * never rejects.
 *
 * @throws TypeError at once, naming the option, if one is misused
 */
export function init(options?: InitOptions): Promise<void> {
  const text = optionsText(options);
  refuseAsTypeError(() => native().init(text, environmentText()));
  endWithProcess();
  return Promise.resolve();
}

/**
 * Waits until the spans that are there now are delivered or given up. Never rejects.
 * For serverless functions, at the end of each invocation.
 */
export function flush(options?: FlushOptions): Promise<FlushResult> {
  return settle((timeoutMs) => native().flush(timeoutMs), options);
}

/** Flushes, then stops tracing: the application runs on untraced. Never rejects. */
export function shutdown(options?: FlushOptions): Promise<FlushResult> {
  return settle((timeoutMs) => native().shutdown(timeoutMs), options);
}

/** Where the spans of this process are, since it started. */
export function stats(): Stats {
  return JSON.parse(native().stats()) as Stats;
}

async function settle(
  call: (timeoutMs: number) => Promise<string>,
  options: FlushOptions | undefined,
): Promise<FlushResult> {
  const wanted: unknown = options?.timeoutMs;
  const valid = typeof wanted === "number" && wanted >= 0;
  if (!valid && wanted !== undefined) native().warn("flush: timeoutMs is no number of ms; 5000 is used");
  try {
    return JSON.parse(await call(valid ? Math.min(wanted, 2 ** 31 - 1) : DEFAULT_FLUSH_MS)) as FlushResult;
  } catch (error) {
    native().warn(`flush failed: ${error instanceof Error ? error.message : "unknown error"}`);
    return { delivered: 0, spooled: 0, dropped: 0, pending: 0, timedOut: true };
  }
}

/** Runs a check of the core; what it refuses is the caller's mistake, and said as such. */
export function refuseAsTypeError(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new TypeError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * JSON text of the options as given. What JSON has no form for becomes an array, which no option takes: so the core
 * refuses it by name, where text would pass for a key.
 */
export function optionsText(options: unknown): string {
  if (options === undefined) return "{}";
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError("The options must be an object.");
  }
  return JSON.stringify(options, (_key, value: unknown) => (hasJson(value) ? value : [typeof value]));
}

function hasJson(value: unknown): boolean {
  const type = typeof value;
  return type === "number"
    ? Number.isFinite(value)
    : type !== "function" && type !== "symbol" && type !== "bigint";
}

/** JSON text of the variables of the environment that the core knows. */
export function environmentText(): string {
  const known: Record<string, string> = {};
  for (const name of Object.keys(process.env)) {
    const value = process.env[name];
    if ((name.startsWith("FALLOM_") || name === "NODE_EXTRA_CA_CERTS") && value !== undefined)
      known[name] = value;
  }
  return JSON.stringify(known);
}
