import { listen } from "./diagnostics";
import { native } from "./native";
import { endWithProcess } from "./open-spans";
import type { InitOptions, Stats } from "./types";
import { waitWith } from "./wait-until";

/** Options that JSON has no form for, and that the core does not know. */
const OWN: ReadonlySet<string> = new Set(["onDiagnostic", "waitUntil"]);

/**
 * Starts tracing, once at the start of the application. A second call may bring a new key or new URLs, or another
 * `onDiagnostic` or `waitUntil` for the calling thread. Without a key the application runs untraced. There is no need to wait for the promise: it is there for older callers, and
 * never rejects.
 *
 * @throws TypeError at once, naming the option, if one is misused
 */
export function init(options?: InitOptions): Promise<void> {
  const text = optionsText(options, OWN);
  const onDiagnostic = functionOf(options, "onDiagnostic");
  const waitUntil = functionOf(options, "waitUntil");
  // First, so that it hears what `init` has to say.
  const unlisten = onDiagnostic && listen(onDiagnostic);
  try {
    refuseAsTypeError(() => native().init(text, environmentText()));
  } catch (error) {
    unlisten?.();
    throw error;
  }
  if (waitUntil !== undefined) waitWith(waitUntil);
  endWithProcess();
  return Promise.resolve();
}

/** Where the spans of this process are, since it started. */
export function stats(): Stats {
  return JSON.parse(native().stats()) as Stats;
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
 * @param own names of options that stay here
 */
export function optionsText(options: unknown, own?: ReadonlySet<string>): string {
  if (options === undefined) return "{}";
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError("The options must be an object.");
  }
  return JSON.stringify(options, function (this: unknown, key, value: unknown) {
    if (this === options && own?.has(key)) return undefined;
    return hasJson(value) ? value : [typeof value];
  });
}

/** An option that must be a function; `null` counts as absent. */
function functionOf<K extends "onDiagnostic" | "waitUntil">(
  options: InitOptions | undefined,
  name: K,
): InitOptions[K] {
  const value: unknown = options?.[name] ?? undefined;
  if (value === undefined || typeof value === "function") return value as InitOptions[K];
  throw new TypeError(`Option '${name}' must be a function; its type was ${typeof value}.`);
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
