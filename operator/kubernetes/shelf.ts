/** What is kept of an object. */
export interface Held {
  readonly resourceVersion: string;
}

/** Objects of one kind as they were last seen, by namespace and name. An older one never replaces a newer one. */
export class Shelf<T extends Held> {
  readonly #namespaces = new Map<string, Map<string, T>>();

  get(namespace: string, name: string): T | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  in(namespace: string): Iterable<T> {
    return this.#namespaces.get(namespace)?.values() ?? [];
  }

  *all(): Iterable<T> {
    for (const names of this.#namespaces.values()) yield* names.values();
  }

  /** The names in a namespace, or in all of them. */
  *names(namespace: string | undefined): Iterable<readonly [namespace: string, name: string]> {
    const places = namespace === undefined ? Array.from(this.#namespaces.keys()) : [namespace];
    for (const place of places) {
      for (const name of Array.from(this.#namespaces.get(place)?.keys() ?? [])) yield [place, name];
    }
  }

  /** False where what is there is as new. */
  put(namespace: string, name: string, value: T): boolean {
    const held = this.get(namespace, name);
    if (held !== undefined && !isNewer(value.resourceVersion, held.resourceVersion)) return false;
    const names = this.#namespaces.get(namespace) ?? new Map<string, T>();
    this.#namespaces.set(namespace, names.set(name, value));
    return true;
  }

  /** Takes it away, as something that was so at `resourceVersion`; resolves to what was there, unless that is newer. */
  remove(namespace: string, name: string, resourceVersion: string): T | undefined {
    const names = this.#namespaces.get(namespace);
    const held = names?.get(name);
    if (held === undefined || isNewer(held.resourceVersion, resourceVersion)) return undefined;
    names?.delete(name);
    if (names?.size === 0) this.#namespaces.delete(namespace);
    return held;
  }
}

/**
 * Versions of one cluster are whole numbers that grow:
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
 */
function isNewer(one: string, other: string): boolean {
  return one.length === other.length ? one > other : one.length > other.length;
}
