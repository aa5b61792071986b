/**
 * `@fallom/trace`: traces Mastra agents. `init` once, a `session` for each conversation, and wrap the agents with it.
 */

import { fallom } from "./fallom";

export { trace } from "./fallom";
export { flush, shutdown } from "./flush";
export { init, stats } from "./init";
export { FallomSpan } from "./manual-span";
export { models } from "./models";
export { prompts } from "./prompts";
export { FallomSession, session } from "./session";
export { wrapTraced } from "./traced";
export type * from "./types";

export default fallom;
