import { type Static, type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";

/** What a store keeps differs by its kind, and so does what a backup of it holds. */
export const storeKinds = ["embedded", "mongodb"] as const;
export type StoreKind = (typeof storeKinds)[number];

const text = Type.String();
const whole = Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER });
const maybeText = Type.Union([text, Type.Null()]);
const base64 = Type.String({ pattern: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$" });
const queue = Type.Integer({ minimum: 0, maximum: 2 });
const document = <Fields extends Record<string, TSchema>>(fields: Fields) =>
  Type.Object(fields, { additionalProperties: false });

const summary = { minimum: whole, maximum: whole, sumHigh: whole, sumLow: whole, count: whole };
const total = { second: whole, metric: text, ...summary };
/** Ids of all documents of a message that has several. */
const parts = Type.Optional(Type.Array(text, { minItems: 2 }));

/**
 * The sections of a backup, in their order, and what a row of each is. Of the embedded store it is a row of the table of that
 * name, column by column (bytes in base64); of MongoDB a document, with dates in milliseconds since 1970.
 */
const embedded = {
  message: Type.Tuple([whole, text, text, base64, maybeText, maybeText]),
  delivery: Type.Tuple([whole, queue, whole, whole]),
  dead_letter: Type.Tuple([queue, whole, text, whole, whole]),
  account: Type.Tuple([text, whole]),
  distinct_name: Type.Tuple([text, text, whole]),
  hourly_log: Type.Tuple([whole, text, text, whole, whole, whole, whole, whole]),
  hourly_total: Type.Tuple([whole, text, whole, whole, whole, whole, whole]),
  applied: Type.Tuple([text, queue, whole]),
  claim: Type.Tuple([text, queue, text, whole]),
} as const;
const mongodb = {
  accountName: document({ _id: text, firstSeen: whole }),
  hourlyLog: document({
    _id: text,
    last: whole,
    expiresAt: whole,
    parts,
    totals: Type.Array(document(total)),
    users: Type.Array(document({ ...total, username: text })),
  }),
  total: document({ _id: text, period: text, metric: text, count: whole, upTo: whole, last: whole }),
  distinctName: document({
    _id: text,
    at: whole,
    parts,
    open: Type.Optional(Type.Literal(1)),
    rows: Type.Optional(Type.Array(document({ day: text, metric: text, count: whole }))),
  }),
  // After the documents that they are of: see the restore of adapters/mongodb.
  claim: document({ _id: text, message: text, at: whole, expiresAt: whole }),
} as const;
const shapes = { embedded, mongodb } as const;

type Shapes = typeof shapes;
type Rows<Kind extends StoreKind> = {
  readonly [Name in keyof Shapes[Kind]]: Shapes[Kind][Name] extends TSchema
    ? Static<Shapes[Kind][Name]>
    : never;
};
export type EmbeddedRows = Rows<"embedded">;
export type MongodbRows = Rows<"mongodb">;

export const sectionsOf = (kind: StoreKind): readonly string[] => Object.keys(shapes[kind]);

type Check = (row: unknown) => boolean;
const compiled = (sections: Readonly<Record<string, TSchema>>): ReadonlyMap<string, Check> =>
  new Map(
    Object.entries(sections).map(([name, shape]) => {
      const validator = Compile(shape);
      return [name, (row) => validator.Check(row)];
    }),
  );
const checks: Readonly<Record<StoreKind, ReadonlyMap<string, Check>>> = {
  embedded: compiled(embedded),
  mongodb: compiled(mongodb),
};

/** Whether a value is a row of this section of a backup of this kind. */
export function isRow(kind: StoreKind, section: string, row: unknown): boolean {
  return checks[kind].get(section)?.(row) === true;
}
