import { ControlTables } from './control-tables.ts';
import { SiteSchemaReplies } from './site-schema.ts';

/** Migrations of the control tables, oldest first. Never change one that was released; add another. */
export const CONTROL_MIGRATIONS = [
  { name: '2026-11-control-tables', class: ControlTables },
  { name: '2026-11-site-schema', class: SiteSchemaReplies },
];
