import type { Json } from '@understudy/domain/entity';

/** One comparison of a filter (protocol §4.1). `values` is always an array on the wire. */
export interface FilterLeaf {
  readonly path: string;
  readonly relation: string;
  readonly values: readonly Json[];
}

/** Comparisons that must all, or any of them, hold. Without conditions it matches everything. */
export interface FilterGroup {
  readonly logical_operator: 'and' | 'or';
  readonly conditions: readonly (FilterLeaf | FilterGroup)[];
}

export function leaf(path: string, relation: string, ...values: readonly Json[]): FilterLeaf {
  return { path, relation, values };
}

export function and(...conditions: readonly (FilterLeaf | FilterGroup)[]): FilterGroup {
  return { logical_operator: 'and', conditions };
}
