import { readFile } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { createServer, type TLSSocket } from "node:tls";
import type { Issued } from "./authority.ts";

/** Takes connections with TLS from who proves himself by `ca`, and passes them on in plain to a server of this machine. */
export async function tlsFront(
  port: number,
  { ca, cert, key }: Issued & { readonly ca: string },
): Promise<{ readonly port: number } & Disposable> {
  const [caText, certText, keyText] = await Promise.all([ca, cert, key].map((path) => readFile(path)));
  const open = new Set<TLSSocket>();
  const options = { ca: caText, cert: certText, key: keyText, requestCert: true, rejectUnauthorized: true };
  const server = createServer(options, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    const behind = connect(port, "127.0.0.1");
    pipeline(socket, behind, socket).catch(() => {});
  });
  // Whoever is refused ends its connection as it likes.
  server.on("tlsClientError", () => {});
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
