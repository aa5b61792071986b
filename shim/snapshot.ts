import { types } from "node:util";
import { isError, messageOf } from "./thrown";

/** Containers nested deeper than this become `"[deep]"`; the outermost one is level 1. */
export const MAX_DEPTH = 32;
/**
 * The most values that one snapshot visits; what follows becomes `"[…]"`. It is far above what fits into a span,
 * and keeps a hostile value (a Proxy that invents children, a sparse array of four billion holes) from hanging
 * the event loop.
 */
export const MAX_NODES = 1_000_000;
/** The longest message that is quoted of what a getter threw. */
const MAX_THROWN = 1024;

/** What stands for all that follows, once `MAX_NODES` values were visited. */
export const CUT = "[…]";
const CUT_TEXT = `"${CUT}"`;

/** What stands for an object inside itself, and for one below `MAX_DEPTH`. */
export const CIRCULAR = "[circular]";
export const DEEP = "[deep]";

/** Values written by the snapshot at hand, and values checked for it; a snapshot never yields, so they serve all. */
let written = 0;
let checked = 0;
/** The containers that enclose the value at hand, outermost first. */
export const path: object[] = [];

/**
 * The normal form of any value, as JSON text; `undefined` for what JSON leaves out (undefined, functions, symbols).
 * Never throws, never changes the value, and runs no user code but getters, `toJSON` and Proxy traps; a throw from
 * those becomes `"[threw: message]"`. A getter may be read more than once.
 */
export function snapshot(value: unknown): string | undefined {
  const outer = beginWalk();
  try {
    return textOf(value, "");
  } catch (error) {
    return threw(error);
  } finally {
    endWalk(outer);
  }
}

/** A walk of a value begins; of one inside another, since a getter may take a snapshot, the outer one goes on as it was. */
export function beginWalk(): object[] | undefined {
  written = 0;
  checked = 0;
  return path.length > 0 ? path.splice(0) : undefined;
}

export function endWalk(outer: object[] | undefined): void {
  if (path.length > 0) path.length = 0;
  if (outer !== undefined) path.push(...outer);
}

/** Counts a value; says whether it is one too many. */
export function isOneTooMany(): boolean {
  return ++written > MAX_NODES;
}

/** Counts several values, if none of them is one too many; says whether it did. */
export function countAll(values: number): boolean {
  if (written + values > MAX_NODES) return false;
  written += values;
  return true;
}

/**
 * JSON text of a value that `JSON.stringify` writes just as the careful walk would. It is one native call, several
 * times faster than any walk that builds text, and nearly all that agents handle is plain.
 */
function plainText(value: object): string | undefined {
  const depth = path.length;
  const before = checked;
  try {
    if (!isPlainObject(value, depth + 1)) return undefined;
    const text = JSON.stringify(value);
    written += checked - before;
    return text;
  } catch {
    // A getter threw, or answered the second reading differently: the careful walk says where.
    return undefined;
  } finally {
    path.length = depth;
  }
}

function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === "object") return value === null || isPlainObject(value, depth);
  // A function is left out, unless it has a `toJSON`, which the careful walk ignores.
  return typeof value === "function" ? !("toJSON" in value) : typeof value !== "bigint";
}

/** Whether `value` at this depth is plain all the way down. Leaves its way down in `path`. */
function isPlainObject(value: object, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  for (let i = 0; i < depth - 1; i++) if (path[i] === value) return false;
  path[depth - 1] = value;
  if (Array.isArray(value)) return isPlainArray(value, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return types.isDate(value) && !Object.hasOwn(value, "toJSON");
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  if (prototype !== Object.prototype && prototype !== null && isExotic(value)) return false;
  const keys = Object.keys(value);
  checked += keys.length;
  if (checked > MAX_NODES) return false;
  for (let i = 0; i < keys.length; i++) {
    const member = (value as Record<string, unknown>)[keys[i] as string];
    if (typeof member !== "string" && !isPlain(member, depth + 1)) return false;
  }
  return true;
}

function isPlainArray(value: unknown[], depth: number): boolean {
  checked += value.length;
  if (checked > MAX_NODES) return false;
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  for (let i = 0; i < value.length; i++) {
    const member = value[i];
    if (typeof member !== "string" && !isPlain(member, depth + 1)) return false;
  }
  return true;
}

/** Whether a class instance is of a built-in kind that JSON would not write as we want it. */
export function isExotic(value: object): boolean {
  return (
    ArrayBuffer.isView(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isBoxedPrimitive(value) ||
    isError(value) ||
    blobName(value) !== undefined
  );
}

/** JSON text of an object that is not plain, which its holder knows as `key`; `undefined` for what JSON leaves out. */
export function oddText(value: object, key: string): string | undefined {
  return objectText(value, key, true);
}

/** JSON text of `value`, which its holder knows as `key`. */
function textOf(value: unknown, key: string): string | undefined {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "boolean":
      return value ? "true" : "false";
    case "bigint":
      return `"${value}"`;
    case "object":
      return value === null ? "null" : objectText(value, key, true);
    default:
      return undefined;
  }
}

/** `askJson`: whether a `toJSON` is called; what it returned is not asked again, as in JSON. */
function objectText(value: object, key: string, askJson: boolean): string | undefined {
  if (path.includes(value)) return `"${CIRCULAR}"`;
  const plain = plainText(value);
  if (plain !== undefined) return plain;
  const depth = path.length;
  try {
    const scalar = scalarText(value);
    if (scalar !== undefined) return scalar;
    if (depth >= MAX_DEPTH) return `"${DEEP}"`;
    const toJSON: unknown = askJson && !isError(value) ? (value as { toJSON?: unknown }).toJSON : undefined;
    if (typeof toJSON === "function") {
      const json: unknown = Reflect.apply(toJSON, value, [key]);
      return typeof json === "object" && json !== null ? objectText(json, key, false) : textOf(json, key);
    }
    path.push(value);
    return containerText(value);
  } catch (error) {
    return threw(error);
  } finally {
    path.length = depth;
  }
}

/** The text of the built-in kinds that have no members of interest. */
function scalarText(value: object): string | undefined {
  if (types.isDate(value)) {
    const time = Date.prototype.getTime.call(value);
    return Number.isNaN(time) ? "null" : `"${new Date(time).toISOString()}"`;
  }
  if (ArrayBuffer.isView(value)) return binaryText(value.byteLength, viewName(value));
  if (types.isArrayBuffer(value)) return binaryText(value.byteLength, "ArrayBuffer");
  if (types.isSharedArrayBuffer(value)) return binaryText(value.byteLength, "SharedArrayBuffer");
  if (types.isRegExp(value)) return JSON.stringify(RegExp.prototype.toString.call(value));
  if (types.isStringObject(value)) return JSON.stringify(String.prototype.valueOf.call(value));
  if (types.isNumberObject(value)) return textOf(Number.prototype.valueOf.call(value), "");
  if (types.isBooleanObject(value)) return textOf(Boolean.prototype.valueOf.call(value), "");
  if (types.isBigIntObject(value)) return textOf(BigInt.prototype.valueOf.call(value), "");
  const blob = blobName(value);
  return blob === undefined ? undefined : binaryText((value as Blob).size, blob);
}

function binaryText(bytes: number, kind: string): string {
  return `"[binary, ${bytes} bytes, ${kind}]"`;
}

const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as () => string | undefined;

function viewName(value: ArrayBufferView): string {
  return Buffer.isBuffer(value) ? "Buffer" : (typedArrayName.call(value) ?? "DataView");
}

/** A `Blob` by its shape, so that those of libraries count too and Node's is not loaded to compare. */
function blobName(value: object): "Blob" | "File" | undefined {
  const tag: unknown = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  if (tag !== "Blob" && tag !== "File") return undefined;
  return typeof (value as Blob).size === "number" ? tag : undefined;
}

function containerText(value: object): string {
  if (Array.isArray(value)) return arrayText(value);
  if (types.isMap(value)) return mapText(value);
  if (types.isSet(value)) return arrayText(Array.from(Set.prototype.values.call(value)));
  if (isError(value)) return recordText(value, errorKeys(value));
  return recordText(value, Object.keys(value));
}

/**
 * Of an error, no more than this: a provider's error carries the whole request, prompt and headers, in fields of
 * its own.
 */
function errorKeys(error: Error): string[] {
  return "cause" in error ? ["name", "message", "stack", "cause"] : ["name", "message", "stack"];
}

function arrayText(value: readonly unknown[]): string {
  let text = "[";
  for (let i = 0; i < value.length; i++) {
    if (i > 0) text += ",";
    if (++written > MAX_NODES) return `${text}${CUT_TEXT}]`;
    text += memberText(value, i) ?? "null";
  }
  return `${text}]`;
}

function recordText(value: object, keys: readonly string[]): string {
  let text = "{";
  for (const key of keys) {
    const full = ++written > MAX_NODES;
    const member = full ? CUT_TEXT : memberText(value, key);
    if (member !== undefined) text += `${text === "{" ? "" : ","}${JSON.stringify(key)}:${member}`;
    if (full) break;
  }
  return `${text}}`;
}

function mapText(map: ReadonlyMap<unknown, unknown>): string {
  const entries = Array.from(Map.prototype.entries.call(map));
  if (!entries.every((entry) => typeof entry[0] === "string")) return arrayText(entries);
  let text = "{";
  for (const [key, member] of entries) {
    const full = ++written > MAX_NODES;
    const entry = full ? CUT_TEXT : textOf(member, key);
    if (entry !== undefined) text += `${text === "{" ? "" : ","}${JSON.stringify(key)}:${entry}`;
    if (full) break;
  }
  return `${text}}`;
}

/** Reads one member: a getter that throws costs this member, not the value. */
function memberText(holder: object, key: string | number): string | undefined {
  let member: unknown;
  try {
    member = (holder as Record<string | number, unknown>)[key];
  } catch (error) {
    return threw(error);
  }
  return textOf(member, String(key));
}

/** What stands for a value that could not be read, as JSON text. */
export function threw(error: unknown): string {
  return JSON.stringify(`[threw: ${messageOf(error).slice(0, MAX_THROWN)}]`);
}
