import { createRequire } from "node:module";
import { Writable } from "node:stream";
import { type Logger, pino } from "pino";
import { printable, printableInColour } from "../../domain/printable.ts";
import { unnamed } from "./unnamed.ts";
import type { Emit, SignalName, Signals } from "../../signals.ts";

export interface LogSettings {
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "auto" | "json" | "pretty";
}

/** JSON lines on stdout, or pretty ones on a terminal. Synchronous: nothing is lost when the process ends. */
export function createLogger({ logLevel, logFormat }: LogSettings): Logger {
  const pretty = logFormat === "pretty" || (logFormat === "auto" && process.stdout.isTTY);
  const options = { level: logLevel, base: null, serializers: { error: pino.stdSerializers.errWithCause } };
  const stdout = pino.destination({ fd: 1, sync: true });
  // A log is read on terminals, and quotes what others sent. In a line of JSON the escapes are JSON's own.
  if (!pretty) return pino(options, { write: (line: string) => void stdout.write(printable(line)) });
  const prettyStream = createRequire(import.meta.url)("pino-pretty")({
    sync: true,
    destination: new Writable({
      decodeStrings: false,
      write: (text: string, _encoding, done) => {
        stdout.write(printableInColour(text));
        done();
      },
    }),
    ignore: "pid,hostname",
    singleLine: true,
  });
  return pino(options, prettyStream);
}

/** Of a command, whose standard output is its result: JSON lines on stderr. */
export function createCommandLogger(): Logger {
  return pino({ base: null }, pino.destination({ fd: 2, sync: true }));
}

/** Turns signals into log lines. The message is constant; what varies is a field. */
export function createLogSubscriber(logger: Logger): Emit {
  // Whatever lines are asked for, these are written.
  const audit = logger.child({ audit: true }, { level: "info" });
  const subscribers: { readonly [K in SignalName]?: (fact: Signals[K]) => void } = {
    "role.started": (fact) => logger.info(fact, "started"),
    "role.stopped": (fact) => logger.info(fact, "stopped"),
    "certificates.renewed": (fact) => logger.info(fact, "certificates renewed"),
    "certificates.refused": (fact) =>
      logger.error(fact, "certificates on disk are of no use: the last good ones are kept"),
    "request.failed": (fact) => logger.error(fact, "request failed: see the error, this is a defect"),
    "publish.failed": (fact) => logger.warn(fact, "publish failed: its clients were answered 503"),
    "delivery.settled": ({ error, ...fact }) => {
      const failed = { ...fact, error: unnamed(error) };
      if (fact.outcome === "deadLetter") logger.error(failed, "dead letter: see millrace dead-letters list");
      else if (fact.outcome === "retry") logger.warn(failed, "delivery failed: it will be tried again");
      else logger.debug(fact, "delivery settled");
    },
    "broker.connected": (fact) => logger.info(fact, "connected to the broker"),
    "broker.disconnected": (fact) => logger.warn(fact, "no connection to the broker: it is tried again"),
    "broker.blocked": (fact) =>
      logger.error(fact, "the broker is in an alarm: clients are answered 503 until it is over"),
    "broker.unblocked": (fact) => logger.info(fact, "the broker takes messages again"),
    "settlement.waiting": (fact) =>
      logger.warn(fact, "a retry or dead letter cannot be published: its delivery waits unsettled"),
    "store.waiting": (fact) => logger.warn(fact, "store unavailable: deliveries wait unsettled"),
    "months.discarded": (fact) => logger.info(fact, "months beyond MILLRACE_KEEP_MONTHS were deleted"),
    "months.spared": (fact) =>
      logger.warn(
        fact,
        "no month is deleted: the clocks of the sweeper and the store are more than a day apart",
      ),
    "sweep.finished": (fact) => logger.debug(fact, "sweep finished"),
    "sweep.failed": (fact) => logger.warn(fact, "sweep failed: the next round will do its work"),
    "tracing.opened": ({ endpoint }) => logger.info({ endpoint }, "traces are exported"),
    "tracing.ignored": (fact) => logger.warn(fact, "a variable of OpenTelemetry is ignored"),
    "spans.lost": (fact) => logger.warn(fact, "spans of traces were lost: events are not concerned"),
    "keys.changed": (fact) => audit.info(fact, "the file of keys has changed"),
    "keys.unreadable": (fact) =>
      audit.error(fact, "the file of keys cannot be read: those of before stay in force, mend it"),
    "audit.recorded": (fact) => audit.info(fact, "audit"),
    "leader.changed": (fact) => logger.info(fact, fact.leading ? "leading" : "no longer leading"),
    "scaler.decided": (fact) => logger.debug(fact, "decided"),
    "replicas.changed": (fact) => logger.info(fact, "scaled"),
    "report.lost": (fact) =>
      logger.warn(
        fact,
        "a status or an Event could not be written: the status is tried again, the Event is lost",
      ),
    "reconcile.finished": (fact) => {
      if (fact.outcome === "failed") logger.error(fact, "reconcile failed: see the error, this is a defect");
    },
    "watch.restarted": (fact) => logger.warn(fact, "a watch of Kubernetes ended: it is started again"),
  };
  return (name, fact) => subscribers[name]?.(fact);
}
