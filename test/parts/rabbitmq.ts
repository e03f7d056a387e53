import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { askBroker, askManagement } from "./ask.ts";
import { chroot, type Recipe } from "./chroot.ts";
import { ChrootPart } from "./chroot-part.ts";
import type { BrokerPart, Filed } from "./part.ts";
import { freePorts } from "./ports.ts";
import { PartProcesses } from "./process.ts";

const recipe: Recipe = { name: "rabbitmq-trixie-1", suite: "trixie", packages: ["rabbitmq-server"] };

const PLUGINS = "[rabbitmq_management,rabbitmq_prometheus].\n";
/** Lines of rabbitmq.conf: the figures that a test waits for come each second, not each five. */
export const testSettings = ["collect_statistics_interval = 1000", "disk_free_limit.absolute = 50MB"];
/** The same for quorum queues, in advanced.config: rabbitmq.conf has no such key. */
export const ADVANCED = "[{rabbit,[{quorum_tick_interval,1000}]}].\n";

/** Unpacks the broker into the cache, unless it is there. */
export async function obtainRabbitMq(): Promise<string> {
  return chroot(recipe);
}

interface Ports {
  readonly amqp: number;
  readonly management: number;
  readonly prometheus: number;
  /** Erlang's own, between the broker and rabbitmqctl; and where they ask for it. */
  readonly distribution: number;
  readonly epmd: number;
}

/** RabbitMQ in a chroot, on free ports and a data folder of its own; started by `start`. */
export class RabbitMq extends ChrootPart implements BrokerPart {
  readonly url: string;
  readonly managementUrl: string;
  readonly #ports: Ports;
  readonly #configuration: readonly string[];

  /** `configuration` holds further lines of rabbitmq.conf. */
  static async open(configuration: readonly string[]): Promise<RabbitMq> {
    const root = await obtainRabbitMq();
    const [amqp = 0, management = 0, prometheus = 0, distribution = 0, epmd = 0] = await freePorts(5);
    const processes = await PartProcesses.open(root, "broker");
    return new RabbitMq(processes, { amqp, management, prometheus, distribution, epmd }, configuration);
  }

  private constructor(processes: PartProcesses, ports: Ports, configuration: readonly string[]) {
    super(processes);
    this.#ports = ports;
    this.#configuration = configuration;
    this.url = `amqp://guest:guest@127.0.0.1:${ports.amqp}`;
    this.managementUrl = `http://guest:guest@127.0.0.1:${ports.management}`;
  }

  /** What rabbitmqctl answers to the words. Rejects with what it wrote when it fails. */
  async ctl(...words: string[]): Promise<string> {
    return this.processes.run(["rabbitmqctl", "--quiet", ...words], this.#environment());
  }

  get files(): Filed {
    return this.filed(this.#environment());
  }

  protected async launch(): Promise<void> {
    const { folder } = this.processes;
    await writeFile(join(folder, "enabled_plugins"), PLUGINS);
    await writeFile(join(folder, "rabbitmq.conf"), `${this.#settings().join("\n")}\n`);
    await writeFile(join(folder, "advanced.config"), ADVANCED);
    const child = this.processes.spawn(["rabbitmq-server"], this.#environment());
    this.mains = [{ child, signal: "SIGTERM" }];
  }

  protected async ask(): Promise<string> {
    await askManagement(this.managementUrl);
    return askBroker(this.url);
  }

  #settings(): readonly string[] {
    return [
      `listeners.tcp.default = 127.0.0.1:${this.#ports.amqp}`,
      "management.tcp.ip = 127.0.0.1",
      `management.tcp.port = ${this.#ports.management}`,
      "prometheus.tcp.ip = 127.0.0.1",
      `prometheus.tcp.port = ${this.#ports.prometheus}`,
      ...testSettings,
      // There is no /proc in the chroot to tell how much memory there is and how much of it is used.
      "vm_memory_calculation_strategy = allocated",
      "total_memory_available_override_value = 2GB",
      ...this.#configuration,
    ];
  }

  #environment(): Readonly<Record<string, string>> {
    const home = this.processes.inside;
    return {
      HOME: home,
      // The first holds the programs themselves; those in /usr/sbin want to be called by root.
      PATH: "/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      LANG: "C.UTF-8",
      ERL_EPMD_PORT: String(this.#ports.epmd),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_NODENAME: "millrace@localhost",
      RABBITMQ_CONF_ENV_FILE: "/dev/null",
      RABBITMQ_CONFIG_FILE: `${home}/rabbitmq.conf`,
      RABBITMQ_ADVANCED_CONFIG_FILE: `${home}/advanced.config`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${home}/enabled_plugins`,
      RABBITMQ_MNESIA_BASE: `${home}/db`,
      RABBITMQ_LOG_BASE: `${home}/log`,
      RABBITMQ_LOGS: "-",
      RABBITMQ_PID_FILE: `${home}/pid`,
      RABBITMQ_DIST_PORT: String(this.#ports.distribution),
      // Schedulers that wait busily would take the cores from the tests.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
    };
  }
}
