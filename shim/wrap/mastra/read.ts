/** What Mastra hands over is read without trust: a field that is missing, or throws, is `undefined`. */
export type Fields = Record<string, unknown>;

/** Whether a value has fields. */
export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

/** The field of an object; of anything else, `undefined`. */
export function field(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined;
  try {
    return value[name];
  } catch {
    return undefined;
  }
}

/** Those of these fields that can be read: where several are read by name at once, which is quickest, and one throws. */
export function readable(value: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, field(value, name)]));
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A count that the wire takes: whole, 0 or more. */
export function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (!isObject(value)) return false;
  try {
    return typeof value.then === "function";
  } catch {
    return false;
  }
}

/** Runs what is ours; should it throw, nothing happened. */
export function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
