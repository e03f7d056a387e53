import { systemClock } from "./adapters/clock.ts";
import { readKeyFile } from "./adapters/embedded/key-file.ts";
import { certificateReader, isNamed, openCertificates, purposes, readCertificates } from "./certificates.ts";
import { certificatesCheck, keysCheck } from "./commands/doctor-files.ts";
import { machineChecks } from "./commands/doctor-machine.ts";
import { clockCheck, processesCheck } from "./commands/doctor-others.ts";
import { addressesOf, sourceOf } from "./console/sources.ts";
import { checkHeap } from "./heap.ts";
import type { Check, ClockSource } from "./ports/check.ts";
import type { Config } from "./settings.ts";

const now = () => systemClock.now();

/** The checks of what the settings name. What they open is closed with `parts`. */
export async function checksOf(
  config: Config,
  timeoutMs: number,
  parts: AsyncDisposableStack,
): Promise<readonly Check[]> {
  const checks: Check[] = [...machineChecks(config, checkHeap)];
  const clocks: ClockSource[] = [];
  // So that a driver has the time to say why there is no connection.
  const driverMs = Math.ceil(timeoutMs * 0.8);
  const files = (["broker", "store"] as const).filter((name) => config[`${name}Url`] === "embedded:");
  if (files.length > 0) {
    const { embeddedChecks } = await import("./adapters/embedded/doctor.ts");
    checks.push(...embeddedChecks({ ...config, files, now }));
  }
  if (config.brokerUrl !== "embedded:") {
    const { rabbitmqChecks } = await import("./adapters/rabbitmq/doctor.ts");
    const certificates = good(() => certificateReader(config, "broker"));
    const broker = rabbitmqChecks({ ...config, certificates, timeoutMs: driverMs }, parts);
    checks.push(...broker.checks);
    clocks.push(broker.clock);
  }
  if (config.storeUrl !== "embedded:") {
    const { mongodbChecks } = await import("./adapters/mongodb/doctor.ts");
    const certificates = good(() => openCertificates(config, "store", () => {}));
    const storeTimeoutMs = Math.min(config.storeTimeoutMs, driverMs);
    const store = mongodbChecks({ ...config, certificates, storeTimeoutMs, now }, parts);
    checks.push(...store.checks);
    clocks.push(store.clock);
  }
  if (clocks.length > 0) checks.push(clockCheck(clocks, config, now));
  if (config.keysFile !== "") checks.push(keysCheck(config, readKeyFile, now));
  const named = purposes.filter((purpose) => isNamed(config, purpose));
  if (named.length > 0) {
    const read = named.map((purpose) => ({ purpose, read: () => readCertificates(config, purpose) }));
    checks.push(certificatesCheck(read, now));
  }
  if (config.consoleSources.length > 0) {
    checks.push(processesCheck(config.consoleSources.map(sourceOf), addressesOf));
  }
  return checks;
}

/** Certificates that cannot be read are told by the check of their own. */
function good<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
