/** How far back in the event log a read of EventLogEntry looks. */
export interface EventReach {
  /** It sees no event with a lower id; null where its filters do not say so. */
  readonly fromId: number | null;
  /** It begins with the newest: a page that is full, with more behind it, holds nothing older than its last. */
  readonly newestFirst: boolean;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Groups nest no deeper in what the compiler takes. */
const DEPTH_MAX = 64;

/** The lowest id that a filter lets through, or null. Only what narrows it for sure counts. */
function lowestId(filter: unknown, depth = 0): number | null {
  if (!isObject(filter) || depth > DEPTH_MAX) return null;
  const { conditions, logical_operator: operator, path, relation, values } = filter;
  if (Array.isArray(conditions)) {
    const lowest = conditions.map((condition) => lowestId(condition, depth + 1));
    const known = lowest.filter((id) => id !== null);
    if (known.length === 0) return null;
    if (operator === 'and') return Math.max(...known);
    return known.length === lowest.length ? Math.min(...known) : null;
  }
  if (path !== 'id' || !Array.isArray(values) || values.length === 0) return null;
  if (!values.every((value): value is number => Number.isSafeInteger(value))) return null;
  switch (relation) {
    case 'greater_than':
      return (values[0] as number) + 1;
    case 'is':
    case 'in':
      return values.reduce((low, value) => Math.min(low, value));
    case 'between':
      return values[0] as number;
    default:
      return null;
  }
}

/** Looks at the payload of a read that compiles. */
export function eventReach(payload: Readonly<Record<string, unknown>>): EventReach {
  const { sorts } = payload;
  const [first] = Array.isArray(sorts) ? (sorts as readonly unknown[]) : [];
  return {
    fromId: lowestId(payload['filters']),
    newestFirst: isObject(first) && first['field_name'] === 'id' && first['direction'] === 'desc',
  };
}
