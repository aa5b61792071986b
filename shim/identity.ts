import { native } from "./native";
import type { WaitUntil } from "./types";

/** What of a session is kept. */
interface SessionFields {
  configKey: string;
  sessionId: string;
  customerId?: string;
  metadata?: Record<string, Scalar>;
  tags?: string[];
}

/** A session as its spans carry it: checked once, written once, frozen. */
export interface Identity {
  readonly context: Readonly<SessionFields>;
  /** JSON text of the session's fields on the wire. */
  readonly json: string;
  /** For the request at hand; it is no part of the context. */
  readonly waitUntil: WaitUntil | undefined;
}

type Scalar = string | number | boolean;

/**
 * Makes an identity of what the user gave. Ids come from data at run time, so a wrong one is no error: numbers
 * become text, a missing id becomes "unknown", and what cannot be kept is left out, with a warning.
 */
export function identify(options: unknown): Identity {
  const given = isRecord(options) ? options : {};
  const configKey = requiredId(given.configKey, "configKey");
  const sessionId = requiredId(given.sessionId, "sessionId");
  const customerId = idText(given.customerId);
  if (customerId === undefined && !isBlank(given.customerId))
    warnOf("customerId", "is no text and is left out");
  const metadata = scalarsOf(given.metadata);
  const tags = textsOf(given.tags);
  const json = JSON.stringify({
    config_key: configKey,
    session_id: sessionId,
    customer_id: customerId,
    metadata,
    tags,
  });
  const context = {
    configKey,
    sessionId,
    ...(customerId !== undefined && { customerId }),
    ...(metadata !== undefined && { metadata: Object.freeze(metadata) }),
    ...(tags !== undefined && { tags: Object.freeze(tags) as string[] }),
  };
  return Object.freeze({ context: Object.freeze(context), json, waitUntil: waitUntilOf(given.waitUntil) });
}

/** Where a session keeps its identity; `Symbol.for`, so that two copies of this package know each other's. */
const IDENTITY = Symbol.for("fallom.session.identity");

/** Ties an identity to a session object, out of sight of those who print or copy it. */
export function bindIdentity(session: object, identity: Identity): void {
  Object.defineProperty(session, IDENTITY, { value: identity });
}

/** The identity of a session, or of what is used like one. Never throws. */
export function identityOf(session: unknown): Identity {
  try {
    const bound = (session as { [IDENTITY]?: Identity })[IDENTITY];
    if (bound !== undefined) return bound;
    const { getContext } = session as { getContext?: () => unknown };
    return identify(typeof getContext === "function" ? getContext.call(session) : session);
  } catch {
    return identify(undefined);
  }
}

function requiredId(value: unknown, name: string): string {
  const id = idText(value);
  if (id !== undefined) return id;
  warnOf(
    name,
    isBlank(value) ? 'is missing; "unknown" stands in for it' : 'is no text; "unknown" stands in for it',
  );
  return "unknown";
}

function idText(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value.toWellFormed();
  return typeof value === "number" || typeof value === "bigint" ? String(value) : undefined;
}

function isBlank(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}

function scalarsOf(value: unknown): Record<string, Scalar> | undefined {
  if (value === undefined || value === null) return undefined;
  const kept: Record<string, Scalar> = Object.create(null);
  const lost: string[] = [];
  for (const [key, member] of isRecord(value) ? Object.entries(value) : []) {
    if (isScalar(member))
      kept[key.toWellFormed()] = typeof member === "string" ? member.toWellFormed() : member;
    else if (member !== undefined && member !== null) lost.push(key);
  }
  if (lost.length > 0) warnOf(`metadata.${lost[0]}`, "is no text, number or boolean and is left out");
  if (!isRecord(value)) warnOf("metadata", "is no object and is left out");
  return Object.keys(kept).length > 0 ? kept : undefined;
}

function textsOf(value: unknown): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const tags = Array.isArray(value) ? value.filter((tag) => typeof tag === "string") : [];
  if (!Array.isArray(value)) warnOf("tags", "is no array and is left out");
  else if (tags.length < value.length) warnOf("tags", "holds what is no text; that is left out");
  return tags.length > 0 ? tags.map((tag) => tag.toWellFormed()) : undefined;
}

function waitUntilOf(value: unknown): WaitUntil | undefined {
  if (typeof value === "function") return value as WaitUntil;
  if (value !== undefined && value !== null) warnOf("waitUntil", "is no function and is left out");
  return undefined;
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function warnOf(field: string, what: string): void {
  native().warn(`session: ${field} ${what}`);
}
