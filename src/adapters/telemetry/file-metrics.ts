import { Gauge, type Registry } from "prom-client";
import type { Signals } from "../../signals.ts";
import type { Subscribers } from "./process-metrics.ts";

/** How the files are that others renew while a process runs; there from the first of them on. */
export function fileMetrics(registry: Registry): Subscribers {
  const watched = new Map<string, Signals["file.watched"]["state"]>();
  return {
    "file.watched": ({ file, state }) => {
      if (watched.size === 0) registerFiles(registry, watched);
      watched.set(file, state);
    },
  };
}

function registerFiles(
  registry: Registry,
  watched: ReadonlyMap<string, Signals["file.watched"]["state"]>,
): void {
  const registers = [registry];
  const failing = new Gauge({
    name: "millrace_file_failing",
    help: "Whether files cannot be read as they are now, so that what was read before stays in use: 1, or 0. Those of keys, or the certificates of server, broker or store.",
    labelNames: ["file"],
    registers,
    collect() {
      for (const [file, state] of watched) failing.set({ file }, Number(state().failing));
    },
  });
  const expiry = new Gauge({
    name: "millrace_certificate_expiry_timestamp_seconds",
    help: "When the certificate in use expires, in seconds since 1970: the first in its file that does. Of server, broker or store.",
    labelNames: ["certificate"],
    registers,
    collect() {
      for (const [certificate, state] of watched) {
        const { expiresAtMs } = state();
        if (expiresAtMs === undefined) expiry.remove({ certificate });
        else expiry.set({ certificate }, expiresAtMs / 1000);
      }
    },
  });
}
