import { types } from "node:util";
import {
  position,
  putArray,
  putBoolean,
  putDate,
  putEnd,
  putJson,
  putName,
  putNull,
  putNumber,
  putObject,
  putText,
  putWordMember,
  rewind,
  snapshotOf,
  textCount,
} from "./bytes";
import { Name } from "./names";
import type { Snapshot } from "./slab";
import {
  beginWalk,
  CIRCULAR,
  CUT,
  countAll,
  DEEP,
  endWalk,
  isExotic,
  isOneTooMany,
  MAX_DEPTH,
  oddText,
  path,
  threw,
} from "./snapshot";

/** 9999-12-31T23:59:59.999Z. */
const LAST_MS = 253_402_300_799_999;

/**
 * The normal form of a value as it is now (see `snapshot`), to be written into an envelope later; `undefined` for what
 * JSON leaves out. Texts are shared with the value, since they cannot change.
 */
export function capture(value: unknown): Snapshot | undefined {
  return snapshotOf(putValue, value);
}

/** A value that is written member by member when its envelope is, so that it need not be built. */
export class Written<A> {
  constructor(
    private readonly write: (of: A) => void,
    private readonly of: A,
  ) {}

  put(): void {
    this.write(this.of);
  }
}

/** Writes a member of an object, or nothing for what JSON leaves out. */
export function putNamed(name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value === "string") {
    putText(name);
    putText(value);
    return;
  }
  const at = position();
  const texts = textCount();
  putText(name);
  if (!putValue(value)) rewind(at, texts);
}

/** As `putNamed`, of a name that both sides know. */
export function putKnown(name: Name, value: unknown): void {
  if (value === undefined) return;
  if (typeof value === "string") {
    putName(name);
    putText(value);
    return;
  }
  const at = position();
  const texts = textCount();
  putName(name);
  if (!putValue(value)) rewind(at, texts);
}

/** Writes the normal form of a value; for what JSON leaves out it writes nothing, and says `false`. Never throws. */
export function putValue(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return put(value, "");
  const outer = beginWalk();
  try {
    return putContainer(value, "");
  } finally {
    endWalk(outer);
  }
}

/** Writes `value`, which its holder knows as `key`. */
function put(value: unknown, key: string | number): boolean {
  if (typeof value === "string") putText(value);
  else if (typeof value === "object") {
    if (value !== null) return putContainer(value, key);
    putNull();
  } else if (typeof value === "number") putNumber(value);
  else if (typeof value === "boolean") putBoolean(value);
  else if (typeof value === "bigint") putText(String(value));
  else return false;
  return true;
}

/** What is plain is written here; anything else is JSON text by the careful walk. */
function putContainer(value: object, key: string | number): boolean {
  const at = position();
  const texts = textCount();
  const depth = path.length;
  try {
    if (isAround(value)) putText(CIRCULAR);
    else if (!isPlain(value)) return putDateOf(value) || putOdd(value, String(key));
    else if (depth >= MAX_DEPTH) putText(DEEP);
    else {
      path.push(value);
      if (Array.isArray(value)) putItems(value);
      else putMembers(value);
      path.pop();
    }
  } catch (error) {
    // A trap of a Proxy, most likely.
    rewind(at, texts);
    putJson(threw(error));
    path.length = depth;
  }
  return true;
}

function isAround(value: object): boolean {
  for (let i = 0; i < path.length; i++) if (path[i] === value) return true;
  return false;
}

/** Whether JSON writes the members of `value` and nothing else. */
function isPlain(value: object): boolean {
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || !isExotic(value);
}

/** Whether it was a date, of the years that have four digits. */
function putDateOf(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Date.prototype || !types.isDate(value)) return false;
  const ms = Date.prototype.getTime.call(value);
  if (!(ms >= 0 && ms <= LAST_MS) || Object.hasOwn(value, "toJSON")) return false;
  putDate(ms);
  return true;
}

function putOdd(value: object, key: string): boolean {
  const text = oddText(value, key);
  if (text !== undefined) putJson(text);
  return text !== undefined;
}

function putItems(items: readonly unknown[]): void {
  putArray();
  for (let i = 0; i < items.length; i++) {
    if (isOneTooMany()) {
      putText(CUT);
      break;
    }
    if (!putItem(items, i)) putNull();
  }
  putEnd();
}

function putMembers(holder: object): void {
  putObject();
  const keys = Object.keys(holder);
  if (keys.length === 2 && keys[0] === "role" && keys[1] === "content" && putMessage(holder)) {
    putEnd();
    return;
  }
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const at = position();
    const texts = textCount();
    putText(key);
    if (isOneTooMany()) {
      putText(CUT);
      break;
    }
    if (!putMember(holder, key)) rewind(at, texts);
  }
  putEnd();
}

/** What most content is made of, as `putMembers` writes it; says whether it was such. */
function putMessage(holder: { role?: unknown; content?: unknown }): boolean {
  let role: unknown;
  let content: unknown;
  try {
    ({ role, content } = holder);
  } catch {
    return false;
  }
  if (typeof role !== "string" || typeof content !== "string" || !countAll(2)) return false;
  if (role === "user") putWordMember(Name.role, Name.user);
  else if (role === "assistant") putWordMember(Name.role, Name.assistant);
  else {
    putName(Name.role);
    putText(role);
  }
  putName(Name.content);
  putText(content);
  return true;
}

/** Reads one member and writes it: a getter that throws costs this member, not the value. */
function putMember(holder: object, key: string): boolean {
  let member: unknown;
  try {
    member = (holder as Record<string, unknown>)[key];
  } catch (error) {
    putJson(threw(error));
    return true;
  }
  return put(member, key);
}

/** As `putMember`, of an array: where only arrays are read, the engine need not ask what it reads from. */
function putItem(items: readonly unknown[], at: number): boolean {
  let item: unknown;
  try {
    item = items[at];
  } catch (error) {
    putJson(threw(error));
    return true;
  }
  return put(item, at);
}
