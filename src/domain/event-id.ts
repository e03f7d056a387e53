/**
 * What an event is counted once by. Each origin of ids has a prefix of its own: an id that one client chose is never
 * taken for one that was made of another's key or CloudEvent.
 */
export const clientId = (id: string): string => `id:${id}`;

/** Of a request that holds one event. */
export const keyId = (key: string): string => `key:${key}`;

/** A key has no white space, so that its end can be told. */
export const keyIdAt = (key: string, index: number): string => `key:${key} ${index}`;

/** A source has no white space, so that its end can be told. */
export const cloudEventId = (source: string, id: string): string => `ce:${source} ${id}`;
