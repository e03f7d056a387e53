/** Attacks that were tried: one table, for the tests that try them and for docs/attacks.md. */
export interface Attack {
  readonly group: string;
  readonly attack: string;
  readonly how: string;
  /** Of the answers over HTTP, and no others; none where the attack is no request. */
  readonly statuses: readonly number[];
  readonly outcome: string;
  /** From the root. */
  readonly file: string;
  /** Text of the test in that file; undefined where `tryAttack` names the attack there. */
  readonly title?: string;
}

const own = { http: "test/security/http.test.ts", browser: "test/security/browser.test.ts" } as const;
const keys = "test/security/keys.test.ts";
const injection = "test/security/injection.test.ts";
const malformed = "test/collector/malformed-http.ts";
const consumer = "test/real/fuzz-consumer.test.ts";

export const attacks = {
  oversizedBody: {
    group: "Too much",
    attack: "A body without an end",
    how: "`content-length` of 10 GB; chunks for as long as they are taken; both routes",
    statuses: [413],
    outcome: "refused at the limit, the connection closed, the rest not read",
    file: own.http,
  },
  oversizedHeaders: {
    group: "Too much",
    attack: "Headers without an end",
    how: "20,000 letters in one; a thousand of them",
    statuses: [400],
    outcome: "refused by the HTTP parser at 16 KiB",
    file: malformed,
    title: "headers of 20 000 letters",
  },
  heavyJson: {
    group: "Too much",
    attack: "JSON that is short and large once parsed",
    how: "4 MiB of brackets, of unknown fields, of empty objects, of arrays in each other",
    statuses: [400, 413],
    outcome: "JSON values are counted before they are parsed; the process takes the next event",
    file: "test/collector/heavy-input.test.ts",
    title: "a body that is short but heavy does not end the process:",
  },
  zipBomb: {
    group: "Too much",
    attack: "A zip bomb",
    how: "20 requests at once, each 1 GiB of zeros as 1 MiB of gzip; a gzip that lies about its size",
    statuses: [413, 503],
    outcome: "inflation stops at the limit; the memory stays within 256 MiB of what it was",
    file: "test/collector/bad-input.test.ts",
    title: "twenty gibibytes of zeros as gzip, in parallel, cost no memory",
  },
  slowloris: {
    group: "Slow",
    attack: "Slowloris",
    how: "100 connections that send a header line now and then and never end, and good events meanwhile",
    statuses: [408],
    outcome: "each is answered and closed at `MILLRACE_REQUEST_TIMEOUT_MS`; the good events are taken",
    file: own.http,
  },
  slowBody: {
    group: "Slow",
    attack: "A body that comes a byte at a time",
    how: "100 connections, a byte now and then, of the length that was said",
    statuses: [408],
    outcome: "the same: the time is that of the whole request",
    file: own.http,
  },
  slowReader: {
    group: "Slow",
    attack: "A reader that never reads",
    how: "a console's stream of events that nobody takes from its socket",
    statuses: [200],
    outcome: "it misses snapshots and is closed; nothing is kept for it",
    file: "test/console/live.test.ts",
    title: "that is not read loses snapshots: what waits for the reader does not grow",
  },
  manyStreams: {
    group: "Slow",
    attack: "More streams than there is room for",
    how: "a hundred consoles and one",
    statuses: [503],
    outcome: "the hundred and first is refused with `Retry-After`",
    file: "test/console/live.test.ts",
    title: "is refused to more pages than a hundred, and is there again when one is closed",
  },
  smuggling: {
    group: "HTTP",
    attack: "Request smuggling",
    how: "CL.TE, TE.CL, TE.TE, two lengths, chunks with a bare LF, obs-fold, a blank before the colon; a good event hidden behind each",
    statuses: [400],
    outcome: "one answer, the connection closed, and the hidden event is not there",
    file: own.http,
  },
  pipelining: {
    group: "HTTP",
    attack: "Pipelining",
    how: "200 requests in one packet",
    statuses: [200],
    outcome: "as many answers, in order, and as many events",
    file: own.http,
  },
  upgrade: {
    group: "HTTP",
    attack: "Switching the protocol (h2c, WebSocket)",
    how: "`Upgrade` with `Connection: Upgrade`, and a hidden event right after it",
    statuses: [200],
    outcome: "answered as HTTP/1.1; nothing is switched, and what came right after it is not read",
    file: own.http,
  },
  headerSplitting: {
    group: "HTTP",
    attack: "Response splitting by CR and LF",
    how: "a username `u\\r\\nset-cookie: a=b` in the URL that comes back in the header `Link`",
    statuses: [200],
    outcome: "it comes back percent-encoded; there is no header of that name",
    file: own.http,
  },
  traversal: {
    group: "HTTP",
    attack: "Path traversal",
    how: "`..`, `%2e%2e`, `..%2f`, `%252e`, `..\\`, NUL, full-width dots, `file:`, below `/console/` and `/docs/static/`",
    statuses: [400, 404],
    outcome:
      "no file is read: the page's files are a list made at the start, and those of `/docs` stay in their folder",
    file: own.http,
  },
  rebinding: {
    group: "Browser",
    attack: "DNS rebinding: a page makes its own name lead to 127.0.0.1",
    how: "every route of all three ports, read and written, with `Host: evil.example`",
    statuses: [421],
    outcome: "refused before anything is read, on the loopback unless `MILLRACE_ALLOWED_HOSTS` names it",
    file: own.browser,
  },
  crossSite: {
    group: "Browser",
    attack: "Cross-site request forgery on the console",
    how: "`POST /console/event` and `/dead-letters/replay` as a form, as text, with another `Origin`, with `Sec-Fetch-Site: cross-site`",
    statuses: [403, 415],
    outcome: "refused, and nothing is sent or replayed",
    file: own.browser,
  },
  crossOrigin: {
    group: "Browser",
    attack: "Events and answers across origins",
    how: "a form, a beacon and a preflight to the collector; `GET` with another `Origin` on all routes",
    statuses: [200, 405, 415],
    outcome: "no event is taken, and no answer names an origin that may read it",
    file: own.browser,
  },
  framing: {
    group: "Browser",
    attack: "Clickjacking, and a script in the page",
    how: "the headers of `/` and `/docs`",
    statuses: [200],
    outcome: "framed by nobody else; scripts of the page's own files alone",
    file: own.browser,
  },
  markup: {
    group: "Browser",
    attack: "HTML in a username or in a dead letter",
    how: "`<b>`, `<img onerror>` in the body of a dead letter, looked at in Chromium",
    statuses: [],
    outcome: "shown as text",
    file: "test/console/page-letters.test.ts",
    title: "are listed with their reason and body, and what is replayed is counted",
  },
  forgedKey: {
    group: "Keys",
    attack: "A forged key",
    how: "none, empty, another scheme, cut short, with more, in other letters, the hash itself",
    statuses: [401, 403],
    outcome: "refused before the body is read",
    file: "test/collector/keys.test.ts",
    title: "refuses %s on both routes",
  },
  guessedKey: {
    group: "Keys",
    attack: "Guessing keys",
    how: "500 keys at random, and all that differ from the right one in one letter",
    statuses: [403],
    outcome: "none is taken; there are 2^256",
    file: keys,
  },
  keyTiming: {
    group: "Keys",
    attack: "Timing the comparison of keys",
    how: "keys whose hash begins like the right one, and such whose does not, compared 20,000 times each in turn",
    statuses: [],
    outcome:
      "the hash of a key is looked up under a secret that is new with each process (HMAC-SHA-256); the test prints both distributions",
    file: keys,
  },
  loggedKey: {
    group: "Keys",
    attack: "Keys in the log",
    how: "right and wrong ones at log level debug",
    statuses: [],
    outcome: "neither a key nor a hash is written",
    file: "test/collector/keys.test.ts",
    title: "writes no key, right or wrong, and no hash of one to its log",
  },
  replay: {
    group: "Keys",
    attack: "Replayed requests",
    how: "one request with an `id`, and one with an `Idempotency-Key`, sent 50 times at once",
    statuses: [200],
    outcome: "counted once",
    file: injection,
  },
  queryOperators: {
    group: "Injection",
    attack: "Operators of MongoDB in parameters",
    how: '`{"$gt": ""}`, `[$gt]=`, `[$ne]`, `$where` in every parameter, in the path, and inside a cursor; also against a MongoDB',
    statuses: [200, 400, 404],
    outcome: "a parameter of brackets is unknown; a text is a text, and finds what is called so: nothing",
    file: injection,
  },
  mongodbOperators: {
    group: "Injection",
    attack: "The same on a real store",
    how: "the query API in front of a MongoDB-wire server that has rows",
    statuses: [200, 400, 404],
    outcome: "no row is found by an operator",
    file: "test/real/operators.test.ts",
  },
  eventOperators: {
    group: "Injection",
    attack: "Operators and SQL in events",
    how: "objects for fields; `$gt`, `$where`, `a.b`, `__proto__`, `'; DROP TABLE` as usernames and metrics",
    statuses: [200, 400],
    outcome: "an object is no username; a text is counted and shown as it was sent",
    file: injection,
  },
  prototypePollution: {
    group: "Injection",
    attack: "Prototype pollution",
    how: "fields `__proto__` and `constructor`, at the top and below, over HTTP; a million messages by the decoder's fuzzer",
    statuses: [400],
    outcome: "unknown fields; nothing is changed for other objects",
    file: injection,
  },
  logInjection: {
    group: "Injection",
    attack: "Log and terminal injection",
    how: "line breaks, ANSI and C1 controls and bidi marks in a message's type and body, in a username and in headers; log as JSON and pretty, `dead-letters list` and `show`",
    statuses: [400, 415],
    outcome: "shown as JSON escapes them; no line is forged",
    file: injection,
  },
  unicode: {
    group: "Injection",
    attack: "Unicode tricks",
    how: "names that look alike, composed and decomposed, full width, with marks and zero-width joiners; halves of surrogate pairs; overlong UTF-8",
    statuses: [200, 400],
    outcome: "names are the code points that were sent, never folded; what is no UTF-8 is refused",
    file: injection,
  },
  forgedMessages: {
    group: "AMQP",
    attack: "Forged messages",
    how: "properties and headers of wrong types, attempts that are negative or enormous, an `x-death`, rubbish in `traceparent`, among good events",
    statuses: [],
    outcome:
      "each good event is counted once, each bad message is a dead letter with a reason, and the consumer goes on",
    file: consumer,
  },
  forgedId: {
    group: "AMQP",
    attack: "An envelope with the id of another's",
    how: "sent after the other's, with events of its own",
    statuses: [],
    outcome: "a message that was applied: its events are not counted, and the other's stay as they are",
    file: consumer,
  },
} as const satisfies Readonly<Record<string, Attack>>;

export type AttackName = keyof typeof attacks;
