/** Events as a fleet of clients would send them: many users, few metrics, small counts. */
export interface Shape {
  /** Distinct usernames over all bodies. */
  readonly usernames: number;
  readonly metrics: number;
}
export const usualShape: Shape = { usernames: 5000, metrics: 20 };

/** Bodies of one event each, all different in username or metric. */
export function singleBodies(bodies: number, shape: Shape = usualShape): readonly string[] {
  return Array.from({ length: bodies }, (_, number) => eventText(number, shape));
}

/** Bodies of `batch` events each, as JSON arrays. */
export function batchBodies(bodies: number, batch: number, shape: Shape = usualShape): readonly string[] {
  return Array.from({ length: bodies }, (_, number) => {
    const events = Array.from({ length: batch }, (_unused, index) =>
      eventText(number * batch + index, shape),
    );
    return `[${events.join(",")}]`;
  });
}

/** Bodies enough that every username of the shape is in one of them. */
export function bodiesFor(batch: number, shape: Shape = usualShape): number {
  return Math.ceil(shape.usernames / batch);
}

/** An event as a client sends it. */
export interface ClientEvent {
  readonly username: string;
  readonly metric: string;
  readonly count: number;
}

function eventText(number: number, { usernames, metrics }: Shape): string {
  const username = `user-${String(number % usernames).padStart(6, "0")}`;
  // Usernames go round faster than metrics, so that all pairs come up in time.
  const metric = `metric-${Math.floor(number / 7) % metrics}`;
  const event: ClientEvent = { username, metric, count: number % 1000 };
  return JSON.stringify(event);
}
