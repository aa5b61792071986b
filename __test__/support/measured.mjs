// Where tests print what they measured: on stderr. Node's test runner reads its own messages from stdout, and does not
// always tell the two apart.

import { Console } from "node:console";

export const measured = new Console(process.stderr);
