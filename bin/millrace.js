#!/usr/bin/env node
import { enableCompileCache } from "node:module";

// Plain JavaScript, so that a Node too old for the rest can still say so.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 21)) {
  process.stderr.write(
    `millrace needs Node 24.21 or newer; this is ${process.versions.node}. ` +
      "In a checkout, `npm ci` brings it and `npm start` or `npx millrace` uses it.\n",
  );
  process.exit(1);
}
// Keeps the JavaScript that Node makes of the TypeScript: a second start is faster, and no process but the first pays the
// memory of the compiler. The variable hands it on to the threads.
process.env.NODE_COMPILE_CACHE ??= enableCompileCache().directory ?? "";
await import("../src/main.ts");
