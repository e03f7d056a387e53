import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** The yardstick of what a machine is worth: a bare server that reads a body and answers 200. Run as a child process; tells its URL. */
const server = createServer((request, response) => {
  request.resume().once("end", () => response.end());
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
process.once("disconnect", () => process.exit(0));
