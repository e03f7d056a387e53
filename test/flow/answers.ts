/** What a query process answers to every question, page by page, byte by byte. */
export async function answersAt(queryUrl: string): Promise<ReadonlyMap<string, string>> {
  const answers = new Map<string, string>();
  for (const path of [
    "/metrics/hourly_logs/total",
    "/metrics/hourly_logs/total?order=count",
    "/metrics/hourly_logs/per_user",
    "/metrics/distinct_names?granularity=day",
    "/metrics/distinct_names?granularity=month",
    "/accounts",
  ]) {
    for (let next: string | undefined = path; next !== undefined; ) {
      const answer: Response = await fetch(new URL(next, queryUrl));
      if (answer.status !== 200) throw new Error(`${next} answered ${answer.status}`);
      answers.set(next, await answer.text());
      next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
    }
  }
  return answers;
}
