import { type Group, type Link, links, type Member, members, type PartName } from "./members.ts";
import type { Side } from "./proxy.ts";
import type { Random } from "./random.ts";

/** One thing that goes wrong. `forMs`: how long until the harness mends it. */
export type Fault = { readonly target: string; readonly group: string } & (
  | { readonly kind: "kill member"; readonly group: Group }
  | { readonly kind: "stop member"; readonly group: Group; readonly forMs: number }
  | { readonly kind: "kill part" | "stop part"; readonly target: PartName; readonly forMs: number }
  /** Connections are reset, and for that time new ones as well. */
  | { readonly kind: "cut link"; readonly forMs: number }
  | { readonly kind: "stall link"; readonly forMs: number }
  | { readonly kind: "half-close link"; readonly side: Side }
);
export type FaultKind = Fault["kind"];

export interface Planned {
  /** From the start of the run. */
  readonly atMs: number;
  readonly fault: Fault;
}

/** Of each fifteen faults. A plan is made of whole rounds of these, and of a part of one. */
const ROUND = { processes: 5, links: 6 } as const;
const ROUND_FAULTS = ROUND.processes + ROUND.links + 4;

const STOPPED_MS = [1000, 8000] as const;
const STALLED_MS = [300, 15_000] as const;
const REFUSED_MS = [200, 3000] as const;
const PART_DOWN_MS = [50, 4000] as const;
/** How long after a store's failure its workers have some deliveries in hand. */
const IN_HAND_MS = [200, 1500] as const;
/** How often a fault comes at the same time as the one before it. */
const AT_ONCE = 0.15;

/** Faults that belong together, and when each comes after the first of them. */
type Sequence = readonly { readonly fault: Fault; readonly afterMs: number }[];

/**
 * Random faults at random instants, at about even distances. With fifteen or more every kind occurs, those of processes and
 * links in each of their groups, and a worker is killed while the store fails; with sixty or more every process and every link is
 * a target.
 */
export function planFaults(count: number, seconds: number, random: Random): readonly Planned[] {
  const sequences: Sequence[] = [];
  const processes = dealer(members, random);
  const ways = dealer(links, random);
  for (let faults = 0; faults < count; faults += ROUND_FAULTS) {
    sequences.push(...shuffled(roundOf(processes, ways, random), random));
  }
  const slotMs = (seconds * 1000) / count;
  const planned: Planned[] = [];
  let atMs = 0;
  for (const sequence of sequences) {
    const slot = planned.length;
    if (slot === 0 || !random.chance(AT_ONCE)) atMs = (slot + random.unit()) * slotMs;
    planned.push(...sequence.map(({ fault, afterMs }) => ({ atMs: atMs + afterMs, fault })));
  }
  return planned.slice(0, count).toSorted((one, other) => one.atMs - other.atMs);
}

function roundOf(processes: () => Member, ways: () => Link, random: Random): readonly Sequence[] {
  const dealt = Array.from({ length: ROUND.processes }, processes);
  const inHand = dealt.find(({ group }) => group === "worker");
  const others = dealt.filter((member) => member !== inHand);
  const storeFaults = shuffled(partFaults("store", random), random);
  const alone = [
    ...partFaults("broker", random),
    ...storeFaults.slice(1),
    ...turns(others.length, random).map((turn, i) => processFault(others[i] as Member, turn, random)),
    ...turns(ROUND.links, random).map((turn) => linkFault(ways(), turn, random)),
  ];
  const together = [
    ...storeFaults.slice(0, 1).map((fault) => ({ fault, afterMs: 0 })),
    ...(inHand === undefined ? [] : [{ fault: killOf(inHand), afterMs: between(IN_HAND_MS, random) }]),
  ];
  return [together, ...alone.map((fault) => [{ fault, afterMs: 0 }])];
}

/** How many faults make it certain that each kind occurs. */
export const enoughForEachKind = ROUND_FAULTS;

/** The turns of a round in random order, so that no target is dealt the same kind each time. */
function turns(count: number, random: Random): readonly number[] {
  return shuffled(Array(count).keys(), random);
}

function killOf({ name: target, group }: Member): Fault {
  return { kind: "kill member", target, group };
}

function processFault(member: Member, turn: number, random: Random): Fault {
  if (turn % 2 === 0) return killOf(member);
  const { name: target, group } = member;
  return { kind: "stop member", target, group, forMs: between(STOPPED_MS, random) };
}

function linkFault({ name: target, group }: Link, turn: number, random: Random): Fault {
  switch (turn % 3) {
    case 0:
      // Half of them as short as a connection that breaks and is there again.
      return { kind: "cut link", target, group, forMs: random.chance(0.5) ? 0 : between(REFUSED_MS, random) };
    case 1:
      return { kind: "stall link", target, group, forMs: between(STALLED_MS, random) };
    default:
      return { kind: "half-close link", target, group, side: random.pick(["near", "far"]) };
  }
}

function partFaults(part: PartName, random: Random): readonly Fault[] {
  const at = { target: part, group: part };
  return [
    { kind: "kill part", ...at, forMs: between(PART_DOWN_MS, random) },
    { kind: "stop part", ...at, forMs: between(STOPPED_MS, random) },
  ];
}

function between([least, most]: readonly [number, number], random: Random): number {
  return random.skewed(least, most);
}

/** Deals each in turn, shuffled, again and again; the first deals are one of each group. */
function dealer<T extends { readonly group: string }>(from: readonly T[], random: Random): () => T {
  const all = shuffled(from, random);
  const first = all.filter((one, index) => all.findIndex(({ group }) => group === one.group) === index);
  const deck = [...first, ...all.filter((one) => !first.includes(one))];
  let next = 0;
  return () => {
    const one = deck[next % deck.length];
    if (one === undefined) throw new Error("nothing to deal");
    next += 1;
    return one;
  };
}

function shuffled<T>(from: Iterable<T>, random: Random): T[] {
  const all = Array.from(from);
  for (let end = all.length - 1; end > 0; end -= 1) {
    const other = random.integer(0, end);
    [all[end], all[other]] = [all[other] as T, all[end] as T];
  }
  return all;
}
