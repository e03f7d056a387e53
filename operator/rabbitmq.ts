import type { BrokerAddress, BrokerFigures } from "./broker-figures.ts";
import { Broker, FORGET_MS } from "./rabbitmq/broker.ts";
import type { Clock } from "../src/ports/clock.ts";
import type { Emit } from "../src/signals.ts";

export interface BrokerFiguresSettings {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Longest wait for a broker, in milliseconds. 5000 by default. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5000;

/**
 * Figures of RabbitMQ's management API. A broker that was not asked about for some minutes is forgotten, and so is one whose
 * password was changed. Disposal closes the connections.
 */
export function createBrokerFigures(settings: BrokerFiguresSettings): BrokerFigures & Disposable {
  const { clock, emit, timeoutMs = TIMEOUT_MS } = settings;
  const brokers = new Map<string, Broker>();
  let sweptMs = clock.now();

  const sweep = (): void => {
    const sinceMs = clock.now() - sweptMs;
    if (sinceMs >= 0 && sinceMs < FORGET_MS / 5) return;
    sweptMs = clock.now();
    for (const [key, broker] of brokers) {
      if (!broker.isForgotten) continue;
      brokers.delete(key);
      broker[Symbol.dispose]();
    }
  };
  const brokerAt = (address: BrokerAddress): Broker => {
    const { url, username, password, ca } = address;
    const key = JSON.stringify([url, username, password, ca]);
    const broker = brokers.get(key) ?? new Broker(address, { clock, emit, timeoutMs });
    brokers.set(key, broker);
    return broker;
  };

  return {
    async read(address, queue, maxAgeMs) {
      const broker = brokerAt(address);
      const reading = broker.read(queue, maxAgeMs);
      sweep();
      return reading;
    },
    [Symbol.dispose]() {
      for (const broker of brokers.values()) broker[Symbol.dispose]();
      brokers.clear();
    },
  };
}
