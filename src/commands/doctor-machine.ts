import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { shownConfig } from "../config.ts";
import { bytesText, fault, type Problem, warning } from "../domain/diagnosis.ts";
import type { Check } from "../ports/check.ts";
import { type Config, settings, variableOf } from "../settings.ts";

/** What the settings are, and whether this machine and process can hold what they ask for. */
export function machineChecks(config: Config, checkHeap: (config: Config) => void): readonly Check[] {
  return [
    {
      name: "settings",
      todo: "see `millrace config`",
      run: async () => ({ found: settingsFound(config), problems: [] }),
    },
    {
      name: "heap",
      todo: "see `millrace config`",
      run: async () => {
        const heap = getHeapStatistics().heap_size_limit;
        const memory = memoryLimit();
        const of = memory === undefined ? "no limit of the container" : `a limit of ${bytesText(memory)}`;
        return {
          found: `node ${process.versions.node}, a heap of at most ${bytesText(heap)}, ${of}`,
          problems: heapProblems(config, checkHeap, { heap, memory }),
        };
      },
    },
    {
      name: "open files",
      todo: "see `ulimit -n`",
      run: async () => {
        const limit = openFilesLimit();
        const problems = limit === undefined || limit >= FEW_FILES ? [] : [fewFiles(limit)];
        return { found: `at most ${limit ?? "an unknown number"} at a time`, problems };
      },
    },
  ];
}

function settingsFound(config: Config): string {
  const others = shownConfig(config).filter(({ name }) => {
    const [value, usual] = [config[name], settings[name].default].map(String);
    return value !== usual;
  });
  if (others.length === 0) return "all are the defaults";
  return `other than by default: ${others.map(({ name, value }) => `${variableOf(name)}=${value}`).join(" ")}`;
}

interface Memory {
  readonly heap: number;
  readonly memory: number | undefined;
}

export function heapProblems(
  config: Config,
  checkHeap: (config: Config) => void,
  { heap, memory }: Memory,
): readonly Problem[] {
  const problems: Problem[] = [];
  try {
    checkHeap(config);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    problems.push(
      fault(
        what,
        "lower that setting, or raise node's --max-old-space-size: a collector does not start like this",
      ),
    );
  }
  if (memory !== undefined && heap > memory) {
    problems.push(
      warning(
        `node's heap may grow to ${bytesText(heap)}, and the container is killed at ${bytesText(memory)}`,
        "start node with a --max-old-space-size of about half the container's limit, or raise the limit",
      ),
    );
  }
  return problems;
}

/** Of the control group, in bytes; undefined where there is none below what the machine has. */
function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : undefined;
}

/** A process needs some dozens for itself, and one for each connection of a client. */
const FEW_FILES = 1024;
const fewFiles = (limit: number): Problem =>
  warning(
    `a process may have ${limit} files and connections open; clients beyond that are not answered`,
    `raise it to ${FEW_FILES} or more: ulimit -n, or LimitNOFILE= of systemd`,
  );

function openFilesLimit(): number | undefined {
  const { report } = process;
  // Else the report looks up the names of all peers. Its types do not know this.
  Object.assign(report, { excludeNetwork: true });
  const facts = report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } };
  };
  const soft = facts.userLimits?.open_files?.soft;
  return soft === "unlimited" || typeof soft !== "number" ? undefined : soft;
}
