#!/usr/bin/env node
// Plain JavaScript, so that a Node too old for the rest can still say so.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 21)) {
  process.stderr.write(
    `millrace needs Node 24.21 or newer; this is ${process.versions.node}. ` +
      "In a checkout, `npm ci` brings it and `npm start` or `npx millrace` uses it.\n",
  );
  process.exit(1);
}
await import("../src/main.ts");
