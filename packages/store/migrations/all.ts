import { ControlTables } from './control-tables.ts';

/** Migrations of the control tables, oldest first. Never change one that was released; add another. */
export const CONTROL_MIGRATIONS = [{ name: '2026-11-control-tables', class: ControlTables }];
