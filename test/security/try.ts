import { expect, test } from "vitest";
import { type Attack, type AttackName, attacks } from "./attacks.ts";

/** Sees to it that the answers of an attack are those that the table says. */
export type Answered = (...statuses: readonly number[]) => void;

/** A test that tries the attack. It hands each answer's status on; every status of the table must have come, and no other. */
export function tryAttack(
  name: AttackName,
  run: (answered: Answered) => Promise<void>,
  timeoutMs = 120_000,
): void {
  const { attack, outcome, statuses }: Attack = attacks[name];
  test(
    `${attack}: ${outcome}`,
    async () => {
      const seen = new Set<number>();
      await run((...those) => those.forEach((status) => seen.add(status)));
      expect(seen).toEqual(new Set(statuses));
    },
    timeoutMs,
  );
}
