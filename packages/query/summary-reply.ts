import type { Json } from '@understudy/domain/entity';

/** What one row of a summarize's statement says. */
export interface SummaryRow {
  /** How many of the groups it belongs to are told apart: 0 for the whole. */
  readonly depth: number;
  /** Key, name and value of the group at each level; null for the empty group and for levels deeper than `depth`. */
  readonly groups: readonly (readonly [key: string | null, name: string | null, value: Json])[];
  readonly summaries: Readonly<Record<string, Json>>;
}

interface Node {
  name: string;
  value: Json;
  summaries: Readonly<Record<string, Json>>;
  /** By key, in order. */
  readonly groups: Map<string | null, Node>;
}

const emptyNode = (): Node => ({ name: '', value: null, summaries: {}, groups: new Map() });

/**
 * Puts rows, in which the groups of each level stand in their order, together as the site nests them (protocol §5.5).
 * @param depth how many levels of groups there are.
 */
export function summaryReply(rows: readonly SummaryRow[], depth: number): Json {
  const whole = emptyNode();
  for (const row of rows) {
    let node = whole;
    for (const [key, name, value] of row.groups.slice(0, row.depth)) {
      const next = node.groups.get(key) ?? emptyNode();
      node.groups.set(key, next);
      next.name = name ?? '';
      next.value = value;
      node = next;
    }
    node.summaries = row.summaries;
  }
  return { summaries: whole.summaries, groups: groupsOf(whole, depth) };
}

function groupsOf(node: Node, depth: number): Json[] {
  if (depth === 0) return [];
  return [...node.groups.values()].map((group) => ({
    group_name: group.name,
    group_value: group.value,
    summaries: group.summaries,
    ...(depth > 1 ? { groups: groupsOf(group, depth - 1) } : {}),
  }));
}
