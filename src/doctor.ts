import { systemClock } from "./adapters/clock.ts";
import { machineChecks } from "./commands/doctor-machine.ts";
import { checkHeap } from "./heap.ts";
import type { Check } from "./ports/check.ts";
import type { Config } from "./settings.ts";

/** The checks of what the settings name. What they open is closed with `parts`. */
export async function checksOf(
  config: Config,
  _timeoutMs: number,
  _parts: AsyncDisposableStack,
): Promise<readonly Check[]> {
  const now = () => systemClock.now();
  const files = (["broker", "store"] as const).filter((name) => config[`${name}Url`] === "embedded:");
  const checks: Check[] = [...machineChecks(config, checkHeap)];
  if (files.length > 0) {
    const { embeddedChecks } = await import("./adapters/embedded/doctor.ts");
    checks.push(...embeddedChecks({ ...config, files, now }));
  }
  return checks;
}
