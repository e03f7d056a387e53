/** Two or three digits that count: 0.013, 9.8, 41, 12,500. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "no end of";
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(2)));
}

export function replicasShown(count: number): string {
  return count === 1 ? "1 replica" : `${shown(count)} replicas`;
}

export function messagesShown(count: number): string {
  return count === 1 ? "1 message" : `${shown(count)} messages`;
}

export function stayShown(count: number): string {
  return `${replicasShown(count)} ${count === 1 ? "stays" : "stay"}`;
}
