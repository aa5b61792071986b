import { types } from "node:util";

/** A class name; anything else in `constructor.name` could be text of the user's. */
const CLASS_NAME = /^[A-Za-z_$][\w$]{0,79}$/;

/** How far an error's prototypes are followed. */
const MAX_PROTOTYPES = 8;

/** The message of anything that may be thrown. Never throws; not clipped. */
export function messageOf(error: unknown): string {
  try {
    if (typeof error === "string") return error;
    if ((typeof error !== "object" && typeof error !== "function") || error === null) return String(error);
    const { message } = error as { message?: unknown };
    if (typeof message === "string" && message !== "") return message;
    return className(error);
  } catch {
    return "unknown error";
  }
}

/** Whether `value` is an error, one of another realm and a `DOMException` included. */
export function isError(value: object): value is Error {
  if (types.isNativeError(value)) return true;
  // Not `instanceof`: through a Proxy that invents prototypes, it never ends.
  let prototype: unknown = value;
  for (let i = 0; i < MAX_PROTOTYPES && prototype !== null; i++) {
    prototype = Object.getPrototypeOf(prototype);
    if (prototype === Error.prototype) return true;
  }
  return false;
}

/** The class of what was thrown, as its constructor is named. Never throws. */
export function className(error: unknown): string {
  if ((typeof error !== "object" && typeof error !== "function") || error === null) return typeof error;
  try {
    const name: unknown = (error as object).constructor?.name;
    if (typeof name === "string" && CLASS_NAME.test(name)) return name;
  } catch {
    // A hostile getter: the error stays nameless.
  }
  return "Error";
}
